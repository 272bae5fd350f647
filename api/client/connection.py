"""Asks one server over HTTP: again where an answer was lost, and never what it refuses."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from api.client.errors import (
    ClientError,
    LostError,
    OldServerError,
    RefusedError,
    UnreachableError,
)
from api.client.retry import BRIEF, BUSY, OUTAGES, Attempts, choose_delay, read_retry_after
from api.client.settings import Settings

Query = Sequence[tuple[str, str]]

_CONNECT: Final = 10.0
_ANSWER: Final = 60.0
_QUIET: Final = 45.0
"""Seconds without a byte after which a stream is broken: the server sends one every 15."""
_CHUNK: Final = 1 << 16
_REDIRECTS: Final = range(300, 400)
_GOOD: Final = range(200, 300)
_MISSING: Final = frozenset({404, 405})

_NO_TLS: Final = ("wrong version number", "record layer failure")
"""What OpenSSL says of bytes that are no TLS; from 3.2 on the latter."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer; ``body`` is None where that is no JSON."""

    code: int
    body: Any
    retry_after: float | None = None


class Connection:
    """A server at ``settings.url``, for any number of threads; ``say`` tells the user something.

    No request takes more than ``most`` seconds.
    A server that does not answer the very first request counts as not there; later a request is
    repeated for some time, as all requests may be.
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        most: float = float("inf"),
    ) -> None:
        self._most = most
        self.settings = settings
        self.clock = clock
        self.sleep = sleep
        self.say = say
        self._skew: float | None = None
        self._has_met = False
        self._has_told = False
        self._has_told_busy = False
        self._pool = urllib3.PoolManager(
            maxsize=64,
            retries=False,
            ca_certs=settings.ca,
            cert_reqs="CERT_REQUIRED",
            headers={"User-Agent": "docker-job", "Accept": "application/json"},
        )

    def now(self) -> float:
        """Return the server's time in seconds since the epoch: this machine's may be wrong."""
        return time.time() if self._skew is None else self.clock() + self._skew

    def ask(
        self,
        method: str,
        path: str,
        query: Query = (),
        *,
        body: bytes | None = None,
        seconds: float = _ANSWER,
        patience: float = BRIEF,
        bears: frozenset[int] = BUSY,
    ) -> Answer:
        """Return the answer to a request; ``seconds`` is what it may take.

        Repeats it for ``patience`` seconds while the connection breaks and while the answer is one
        that it ``bears``. Raises ``RefusedError`` for an answer that is no success, and others.
        """
        attempts = Attempts(0, self.clock())
        while True:
            try:
                answer = self._send(method, path, query, body, seconds)
            except LostError as error:
                attempts = self.bear(attempts, error, patience)
                continue
            if answer.code in _GOOD:
                return answer
            trouble = self._explain(method, path, answer)
            if answer.code not in bears:
                raise trouble
            attempts = self.bear(attempts, trouble, patience, answer.retry_after)

    @contextmanager
    def open(
        self, path: str, query: Query, headers: Mapping[str, str], *, patience: float
    ) -> Iterator[Iterator[bytes]]:
        """Open a stream, which yields its bytes as they come and then ends.

        Is opened again as ``ask`` asks again; once it is open, what breaks it is a ``LostError``.
        """
        attempts = Attempts(0, self.clock())
        while True:
            try:
                opened = self._open_once(path, query, headers)
            except LostError as error:
                attempts = self.bear(attempts, error, patience)
                continue
            if not isinstance(opened, Answer):
                break
            trouble = self._explain("GET", path, opened)
            if opened.code not in BUSY | OUTAGES:
                raise trouble
            attempts = self.bear(attempts, trouble, patience, opened.retry_after)
        with closing(opened):
            yield self._iterate(opened)

    def _open_once(
        self, path: str, query: Query, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse | Answer:
        """Return a response to read from, or what was answered instead."""
        response = self._request("GET", path, query, headers=headers, body=None, seconds=_QUIET)
        if response.status == _GOOD.start:
            return response
        with closing(response):
            return self._read(response)

    def bear(
        self,
        attempts: Attempts,
        trouble: ClientError,
        patience: float,
        asked: float | None = None,
    ) -> Attempts:
        """Wait until the next attempt; raise ``trouble`` where there is none any more."""
        delay = choose_delay(attempts, self.clock(), patience, asked)
        if delay is None:
            raise trouble
        if isinstance(trouble, LostError):
            self.tell_loss(patience)
        elif not self._has_told_busy:
            self._has_told_busy = True
            self.say(f"trying again for up to {patience:.0f} s: {trouble}")
        self.sleep(delay)
        return attempts.fail()

    def tell_loss(self, patience: float) -> None:
        """Say that the connection broke and is made anew; once in a command."""
        if not self._has_told:
            self._has_told = True
            whose = " (DJD_PATIENCE)" if patience == self.settings.patience else ""
            self.say(
                f"lost the connection to {self.settings.url}; going on as soon as it is back,"
                f" within {patience:.0f} s{whose}; Ctrl-C ends this command"
            )

    def _send(
        self, method: str, path: str, query: Query, body: bytes | None, seconds: float
    ) -> Answer:
        response = self._request(method, path, query, headers={}, body=body, seconds=seconds)
        with closing(response):
            return self._read(response)

    def _request(
        self,
        method: str,
        path: str,
        query: Query,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
    ) -> urllib3.BaseHTTPResponse:
        sent = dict(self._pool.headers) | dict(headers)
        if self.settings.token is not None:
            sent["Authorization"] = f"Bearer {self.settings.token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        url = self.settings.url + path
        if query:
            url = f"{url}?{urlencode(query)}"
        seconds = min(seconds, self._most)
        timeout = urllib3.Timeout(connect=min(_CONNECT, seconds), read=seconds)
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers=sent,
                timeout=timeout,
                redirect=False,
                preload_content=False,
            )
        except HTTPError as error:
            self._explain_break(error)
        self._has_met = True
        self._set_clock(response.headers.get("Date"))
        return response

    def _explain_break(self, error: HTTPError) -> NoReturn:
        url = self.settings.url
        if isinstance(error, SSLError):
            if any(words in str(error).lower() for words in _NO_TLS):
                plain = "http" + url.removeprefix("https")
                raise UnreachableError(f"no TLS is spoken at {url}; is it {plain}?") from error
            raise UnreachableError(f"cannot trust the server at {url}: {error}") from error
        is_away = isinstance(error, NewConnectionError | ConnectTimeoutError)
        if is_away and not self._has_met:
            raise UnreachableError(
                f"no server answers at {url}; is it running, and is DJD_URL right?"
            ) from error
        self._has_met = True
        raise LostError(f"the server at {url} went away and did not come back") from error

    def _set_clock(self, date: str | None) -> None:
        try:
            moment = parsedate_to_datetime(date or "")
        except ValueError:
            return
        self._skew = moment.timestamp() - self.clock()

    def _read(self, response: urllib3.BaseHTTPResponse) -> Answer:
        try:
            payload = response.read()
        except HTTPError as error:
            self._explain_break(error)
        try:
            body = json.loads(payload) if payload else None
        except ValueError:
            body = None
        return Answer(response.status, body, read_retry_after(response.headers.get("Retry-After")))

    def _iterate(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        while True:
            try:
                data = response.read1(_CHUNK, decode_content=False)
            except HTTPError as error:
                self._explain_break(error)
            if not data:
                return
            yield data

    def _explain(self, method: str, path: str, answer: Answer) -> ClientError:
        if answer.code in _REDIRECTS:
            return ClientError(f"{self.settings.url} leads elsewhere; set DJD_URL to where")
        refused = RefusedError(answer.code, answer.body)
        if answer.code in _MISSING and method != "POST" and refused.last_known is None:
            return self._explain_missing(method, path) or refused
        return refused

    def _explain_missing(self, method: str, path: str) -> OldServerError | None:
        """Return what is told where the server's own description lacks the route."""
        route = find_route(path)
        try:
            answer = self._send("GET", "/openapi.json", (), None, _ANSWER)
        except ClientError:
            return None
        paths = answer.body.get("paths") if isinstance(answer.body, Mapping) else None
        if not isinstance(paths, Mapping):
            return None
        methods = paths.get(route)
        if isinstance(methods, Mapping) and method.lower() in methods:
            return None
        info = answer.body.get("info")
        version = info.get("version") if isinstance(info, Mapping) else None
        return OldServerError(
            f"the server at {self.settings.url} (version {version}) is too old for this:"
            f" it has no {method} {route}"
        )


def find_route(path: str) -> str:
    """Return the route, as the server's description names it, that serves a path of ours."""
    parts = path.split("/")
    if len(parts) > 2 and parts[1] == "job":  # noqa: PLR2004
        return "/".join(["", "job", "{id}", *parts[3:]])
    return path
