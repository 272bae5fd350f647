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
from urllib.parse import urlsplit

_OPTIONS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--remote-debugging-pipe", "--window-size=1200,1600"),
)
_PATIENCE: Final = 60.0
_LONGEST: Final = 1 << 26
"""Bytes of one message: a screenshot is one."""


class Link:
    """The pipe to a browser, which all of its tabs share."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.WriteTransport) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.pages: dict[str, Page] = {}

    async def send(self, method: str, params: Any, session: str | None = None) -> dict[str, Any]:
        """Send one command and return its result."""
        self._number += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        message = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
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
            elif (page := self.pages.get(data.get("sessionId", ""))) is not None:
                page.hear(data["method"], data.get("params", {}))


class Page:
    """One tab: ``requests`` are the URLs that it asked for, ``complaints`` what it logged.

    ``canned`` has what is answered in the server's stead, by the end of a path: code and JSON.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._session = self._target = ""
        self._tasks: set[asyncio.Task[Any]] = set()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.canned: dict[str, tuple[int, object]] = {}

    async def open(self) -> "Page":
        """Attach to a new tab and have it tell of requests and complaints."""
        target = await self._link.send("Target.createTarget", {"url": "about:blank"})
        options = {"targetId": target["targetId"], "flatten": True}
        attached = await self._link.send("Target.attachToTarget", options)
        self._session, self._target = attached["sessionId"], target["targetId"]
        self._link.pages[self._session] = self
        for domain in ("Network", "Page", "Runtime", "Log"):
            await self.send(f"{domain}.enable")
        return self

    async def open_another(self) -> "Page":
        """Return another tab of this browser."""
        return await Page(self._link).open()

    async def can(self, path: str, code: int, body: object) -> None:
        """Answer requests whose path ends with ``path`` in the server's stead."""
        self.canned[path] = code, body
        patterns = [{"urlPattern": f"*{each}"} for each in self.canned]
        await self.send("Fetch.enable", patterns=patterns)

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        return await self._link.send(method, params, self._session)

    async def send_to_browser(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command that is not about this tab."""
        return await self._link.send(method, params)

    def hear(self, method: str, params: Any) -> None:
        """Take note of what the tab says."""
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url')}")
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning"}:
                self.complaints.append(str(params["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Fetch.requestPaused":
                task = asyncio.create_task(self._answer(params))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _answer(self, params: Any) -> None:
        path = urlsplit(params["request"]["url"]).path
        code, body = next(found for end, found in self.canned.items() if path.endswith(end))
        await self.send(
            "Fetch.fulfillRequest",
            requestId=params["requestId"],
            responseCode=code,
            responseHeaders=[{"name": "Content-Type", "value": "application/json"}],
            body=base64.b64encode(b"" if code == 204 else json.dumps(body).encode()).decode(),
        )

    async def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        found = await self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
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

    async def wait_until_is(self, script: str, expected: object) -> None:
        """Evaluate ``script`` until its value is the expected one."""
        await self.wait_for(script, lambda value: bool(value == expected))

    async def click(self, selector: str) -> None:
        """Click on an element, once it is there."""
        find = f"document.querySelector({json.dumps(selector)})"
        await self.wait_for(f"(element => element && (element.click(), true))({find})")

    async def press(self, key: str) -> None:
        """Press and release a key: one that writes a character, Enter or Escape."""
        text = {"Enter": "\r", "Escape": ""}.get(key, key)
        code = {"Enter": 13, "Escape": 27}.get(key, 0)
        common = {"key": key, "windowsVirtualKeyCode": code}
        await self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    async def type(self, text: str) -> None:
        """Write a text where the focus is."""
        await self.send("Input.insertText", text=text)

    async def resize(self, width: int, height: int) -> None:
        """Give the tab another size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.send("Emulation.setDeviceMetricsOverride", **size)

    async def set_scheme(self, scheme: str) -> None:
        """Have the reader prefer ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.send("Emulation.setEmulatedMedia", features=features)

    async def close(self) -> None:
        """Close the tab."""
        await self._link.send("Target.closeTarget", {"targetId": self._target})

    async def save_screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what the window shows as a PNG; ``whole``: also what is out of sight."""
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=whole)
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
    link = Link(reader, outgoing)
    listening = asyncio.create_task(link.listen())
    try:
        yield await Page(link).open()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        outgoing.close()
        incoming.close()
