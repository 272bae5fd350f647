"""Serves the OpenAPI document, and Swagger UI to show it, from files of this installation."""

import json
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from aiohttp import web

from api.server.docs import openapi
from api.server.http.route import Route, Scope

_HERE: Final = Path(__file__).parent
_ASSETS: Final = Path(str(distribution("swagger-ui-py").locate_file("swagger_ui/static")))
_SCRIPT: Final = "text/javascript"
_FILES: Final[Mapping[str, tuple[Path, str]]] = {
    "page.js": (_HERE / "page.js", _SCRIPT),
    "swagger-ui-bundle.js": (_ASSETS / "swagger-ui-bundle.js", _SCRIPT),
    "swagger-ui.css": (_ASSETS / "swagger-ui.css", "text/css"),
    "favicon-32x32.png": (_ASSETS / "favicon-32x32.png", "image/png"),
}
# Swagger UI sets inline styles, and its style sheet has icons as data: URLs.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def list_page_routes() -> list[Route]:
    """Return the routes of the document, the page and its files."""
    document = json.dumps(openapi.load(), ensure_ascii=False).encode()
    page = (_HERE / "page.html").read_bytes()
    files = {name: path.read_bytes() for name, (path, _) in _FILES.items()}

    async def get_openapi(_request: web.Request) -> web.Response:
        return web.Response(body=document, content_type="application/json")

    async def get_docs(_request: web.Request) -> web.Response:
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=_HEADERS)

    async def get_file(request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in files:
            raise web.HTTPNotFound
        return web.Response(body=files[name], content_type=_FILES[name][1], headers=_HEADERS)

    return [
        Route("GET", "/openapi.json", get_openapi, Scope.READ),
        Route("GET", "/docs", get_docs, Scope.READ),
        Route("GET", "/docs/{file}", get_file, Scope.READ),
    ]
