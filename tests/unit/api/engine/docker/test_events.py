"""The event stream is read on, whatever one of its lines holds."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from api.engine.docker.events import EventReader
from api.engine.interface import Event, EventKind

GOOD = json.dumps({"Action": "start", "Actor": {"ID": "id"}, "timeNano": 7})


def read(*lines: str) -> list[Event]:
    """Return what a reader makes of lines that come cut in two."""
    text = "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")
    chunks = [text[: len(text) // 2], text[len(text) // 2 :], b""]

    async def readany() -> bytes:
        return chunks.pop(0)

    async def collect() -> list[Event]:
        response: Any = SimpleNamespace(content=SimpleNamespace(readany=readany))
        reader = EventReader(response, "ns", lambda *_: None, lambda _: None, lambda _: None)
        return [event async for event in reader]

    return asyncio.run(collect())


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "[]",
        "7",
        '"text"',
        "\ud800",
        '{"Action": "die", "Actor": 7}',
        '{"Action": "die", "Actor": {"ID": "id", "Attributes": 7}}',
        '{"Action": "die", "Actor": {"ID": "id", "Attributes": {"exitCode": 7}}}',
        '{"Action": "die", "Actor": {"ID": "id"}, "timeNano": "soon"}',
        "[" * 100_000,
    ],
)
def test_a_line_that_cannot_be_read_is_told_of_and_keeps_no_other(line: str) -> None:
    kinds = [event.kind for event in read(GOOD, line, GOOD)]
    assert kinds == [EventKind.STARTED, EventKind.UNREADABLE, EventKind.STARTED]


def test_a_label_that_looks_like_an_exit_code_keeps_no_event() -> None:
    attributes = {"exitCode": "\u00b2", "name": "a"}
    line = json.dumps({"Action": "die", "Actor": {"ID": "id", "Attributes": attributes}})
    (event,) = read(line)
    assert (event.kind, event.exit_code) == (EventKind.ENDED, None)


def test_a_pause_is_made_before_each_reading_but_one_after_much() -> None:
    line = GOOD.encode() + b"\n"
    much = line * (64 * 1024 // len(line))
    chunks, done = [line, line, much, much, line, b""], list[str]()

    async def readany() -> bytes:
        chunk = chunks.pop(0)
        done.append("much" if chunk == much else "little")
        return chunk

    async def pause() -> None:
        done.append("pause")

    async def collect() -> None:
        transport = SimpleNamespace(
            pause_reading=lambda: done.append("stop"), resume_reading=lambda: done.append("go on")
        )
        response: Any = SimpleNamespace(
            content=SimpleNamespace(readany=readany),
            connection=SimpleNamespace(transport=transport),
        )
        nothing = (lambda *_: None, lambda _: None, lambda _: None)
        async for _ in EventReader(response, "ns", *nothing, pause=pause):
            pass

    asyncio.run(collect())
    rest = ["stop", "pause", "go on"]
    assert done == ["little", *rest, "little", *rest, "much", "much", "little", *rest, "little"]
