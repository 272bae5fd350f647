"""Serves the page's own files, which are public: they hold no data, and ask for it with a token."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from aiohttp import ETag, web
from aiohttp.typedefs import Handler

from api.server.http.route import Route, Scope

_FOLDER: Final = Path(__file__).parent / "static"
_INDEX: Final = "index.html"
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # asked for at every visit, and answered by 304: a page never runs on files of two versions
    "Cache-Control": "no-cache",
}


def list_file_routes() -> list[Route]:
    """Return the routes of the page, of its files, and of the short ways to it."""
    files = {path.name: _File(path) for path in _FOLDER.iterdir() if path.suffix in _TYPES}

    async def get_page(request: web.Request) -> web.Response:
        return files[_INDEX].answer(request)

    async def get_file(request: web.Request) -> web.Response:
        found = files.get(request.match_info["file"])
        if found is None:
            raise web.HTTPNotFound
        return found.answer(request)

    return [
        # a relative way holds behind a proxy that serves this under a path of its own, too
        Route("GET", "/", _lead_to("ui/"), Scope.PUBLIC),
        Route("GET", "/ui", _lead_to("ui/"), Scope.PUBLIC),
        Route("GET", "/ui/", get_page, Scope.PUBLIC),
        Route("GET", r"/ui/{file:[a-z-]+\.[a-z]+}", get_file, Scope.PUBLIC),
    ]


class _File:
    """One file, read when the process starts."""

    def __init__(self, path: Path) -> None:
        self._body = path.read_bytes()
        self._type = _TYPES[path.suffix]
        self._tag = sha256(self._body).hexdigest()[:32]

    def answer(self, request: web.Request) -> web.Response:
        """Return the file, or 304 to who has it."""
        known = request.if_none_match or ()
        if any(tag.value in {self._tag, "*"} for tag in known):
            response = web.Response(status=304, headers=_HEADERS)
        else:
            response = web.Response(
                body=self._body, content_type=self._type, charset="utf-8", headers=_HEADERS
            )
        response.etag = ETag(self._tag)
        return response


def _lead_to(place: str) -> Handler:
    async def lead(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": place, **_HEADERS})

    return lead
