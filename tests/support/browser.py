"""Debian's chromium without a screen, in the network of another process, driven by a pipe."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

_OPTIONS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--remote-debugging-pipe", "--window-size=1200,1600"),
)
_PATIENCE: Final = 60.0
_LONGEST: Final = 1 << 26
"""Bytes of one message: a screenshot is one."""


class Page:
    """One tab: ``requests`` are the URLs that it asked for, ``complaints`` what it logged."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.WriteTransport) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def open(self) -> None:
        """Attach to a new tab and have it tell of requests and complaints."""
        target = await self.send("Target.createTarget", url="about:blank")
        attached = await self.send(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Network", "Page", "Runtime", "Log"):
            await self.send(f"{domain}.enable")

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        self._number += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        return await asyncio.wait_for(answer, _PATIENCE)

    async def listen(self) -> None:
        """Take in what the browser says, until it ends."""
        while True:
            message = await self._reader.readuntil(b"\0")
            data = json.loads(message[:-1])
            if "id" in data:
                answer = self._answers.pop(data["id"])
                if "error" in data:
                    answer.set_exception(AssertionError(str(data["error"])))
                else:
                    answer.set_result(data["result"])
                continue
            params = data.get("params", {})
            match data["method"]:
                case "Network.requestWillBeSent":
                    self.requests.append(params["request"]["url"])
                case "Log.entryAdded":
                    self.complaints.append(params["entry"]["text"])
                case "Runtime.consoleAPICalled" if params["type"] == "error":
                    self.complaints.append(str(params["args"]))
                case "Runtime.exceptionThrown":
                    self.complaints.append(str(params["exceptionDetails"]))

    async def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        found = await self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def wait_for(self, script: str, accept: Callable[[Any], object] = bool) -> Any:
        """Evaluate ``script`` until its value is accepted, and return that."""
        value = None
        try:
            async with asyncio.timeout(_PATIENCE):
                while not accept(value := await self.evaluate(script)):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{script} stays {value!r}; {self.complaints}") from None
        return value

    async def click(self, selector: str) -> None:
        """Click on an element, once it is there."""
        find = f"document.querySelector({json.dumps(selector)})"
        await self.wait_for(f"(element => element && (element.click(), true))({find})")

    async def save_screenshot(self, path: Path) -> None:
        """Write what the whole page looks like as a PNG."""
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def browse(pid: int) -> AsyncIterator[Page]:
    """Start a browser with a profile of its own in the network namespace of process ``pid``."""
    profile = Path(tempfile.mkdtemp(prefix="browser-"))
    to_read, writing = os.pipe()
    reading, to_write = os.pipe()
    browser = ("chromium", *_OPTIONS, f"--user-data-dir={profile}", "about:blank")
    # the browser reads commands from descriptor 3 and answers on 4
    redirected = ("bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", *browser)
    with (profile / "log").open("wb") as log:
        process = subprocess.Popen(
            ["nsenter", f"--net=/proc/{pid}/ns/net", *redirected],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(to_read, to_write),
        )
    os.close(to_read)
    os.close(to_write)
    try:
        async with _connect(reading, writing) as page:
            yield page
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)


@asynccontextmanager
async def _connect(reading: int, writing: int) -> AsyncIterator[Page]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LONGEST)
    incoming, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
    )
    outgoing, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(writing, "wb"))
    page = Page(reader, outgoing)
    listening = asyncio.create_task(page.listen())
    try:
        await page.open()
        yield page
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        outgoing.close()
        incoming.close()
