"""Answers in JSON."""

import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


def answer_json(
    code: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return ``body`` as a response."""
    return web.Response(
        status=code,
        text=_encode(body),
        content_type="application/json",
        headers=dict(headers or {}),
    )
