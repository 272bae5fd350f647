"""The fault proxy with a memory: starts, stops and removals with what came back; what is asked."""

import asyncio
import re
import time
from typing import Any, cast

from tests.chaos.history import Recorder
from tests.support.proxy import FaultProxy
from tests.support.proxy_link import Act, Link

_ACT = re.compile(
    r"(?P<method>POST|DELETE) /v\d+\.\d+/containers/(?P<id>[0-9a-f]{64})(?:/(?P<act>start|stop))?"
    r"(?:\?(?P<query>.*))?"
)
_LOOK = re.compile(r"GET /v\d+\.\d+/containers/djd-cancel-(?P<id>[0-9a-f]{64})/json")
_SUBSCRIPTION = re.compile(r"GET /v\d+\.\d+/events\b")
_KEPT_BACK = {Act.CUT, Act.LOSE, Act.TRUNCATE}


class WatchedProxy(FaultProxy):
    """Records each start, stop and removal once its client has learned the outcome, or never will.

    Subscriptions and looks for marks are recorded when they are asked for; ``process`` is who goes
    through the proxy.
    """

    def __init__(self, upstream: str, recorder: Recorder, process: str) -> None:
        super().__init__(upstream)
        self.recorder = recorder
        self.process = process

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _WatchedLink(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            link.settle(0)
            self._links.discard(link)


class _WatchedLink(Link):
    """A connection that keeps in mind which act is still unanswered."""

    def __init__(
        self, owner: WatchedProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        super().__init__(_Listener(owner, self), reader, writer)
        self._recorder = owner.recorder
        self._process = owner.process
        self._open: dict[str, Any] | None = None

    def begin(self, line: str) -> None:
        """Take in a request's line."""
        self.settle(0)
        if _SUBSCRIPTION.match(line):
            self._recorder.record("subscription", process=self._process)
        match = _ACT.fullmatch(line)
        if (look := _LOOK.match(line)) is not None:
            self._recorder.record("look-for-mark", id=look["id"], process=self._process)
        if match is not None and (match["method"] == "DELETE") is (match["act"] is None):
            act = match["act"] or "remove"
            forced = "force=" in (match["query"] or "")
            facts = {"act": act, "id": match["id"], "forced": forced}
            self._open = {**facts, "sent": time.time_ns()}

    def settle(self, status: int) -> None:
        """Record the open act with the status that its client learned; 0: none."""
        if self._open is not None:
            self._recorder.record("call", **self._open, status=status)
            self._open = None

    async def _pass_replies(self, source: asyncio.StreamReader) -> None:
        await super()._pass_replies(cast("asyncio.StreamReader", _Tap(source, self)))

    def take_reply(self, data: bytes) -> None:
        """Take in the beginning of a reply."""
        if self._open is None:
            return
        is_lost = self.rule is not None and self.rule.act in _KEPT_BACK
        status = data[:12].rpartition(b" ")[2]
        self.settle(0 if is_lost or self._reader.at_eof() else int(status))


class _Listener:
    """The proxy as the link's owner, with a look at each request's line in between."""

    def __init__(self, proxy: WatchedProxy, link: _WatchedLink) -> None:
        self.upstream = proxy.upstream
        self._proxy = proxy
        self._link = link
        self.wait_until_healed = proxy.wait_until_healed

    def note(self, line: str) -> Any:
        self._link.begin(line)
        return self._proxy.note(line)


class _Tap:
    """The engine's replies, read past the link's memory."""

    def __init__(self, source: asyncio.StreamReader, link: _WatchedLink) -> None:
        self._source = source
        self._link = link

    async def read(self, size: int) -> bytes:
        data = await self._source.read(size)
        if data:
            self._link.take_reply(data)
        return data
