"""``Expect: 100-continue``: a client is asked for its body once its header has been accepted.

aiohttp asks before any middleware runs, and so has the body sent even of a request that is refused.
"""

from typing import Final

from aiohttp import HttpVersion11, hdrs, web

_CONTINUE: Final = "100-continue"


async def check_expectation(request: web.Request) -> None:
    """Refuse an ``Expect`` that is not known (417), and send nothing otherwise."""
    if request.version == HttpVersion11 and request.headers[hdrs.EXPECT].lower() != _CONTINUE:
        raise web.HTTPExpectationFailed


async def ask_for_body(request: web.Request) -> None:
    """Send the 100 that the client waits for, if it does."""
    expected = request.headers.get(hdrs.EXPECT, "").lower() == _CONTINUE
    if expected and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # what counts as output from here on is the answer alone
        request.writer.output_size = 0
