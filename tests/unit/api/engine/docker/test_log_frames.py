"""What the engine sends of a log is cut into the same entries, however the network cuts it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.engine.docker.log_frames import Cutter, FrameCutter, TerminalCutter
from api.engine.errors import EngineInterruptedError, EngineRefusedError
from api.engine.interface import LogFrame, LogStream
from api.v1.times import format_time

PIECE = 1 << 14
NUMBERS = {LogStream.STDOUT: 1, LogStream.STDERR: 2}

times = st.integers(0, 4_000_000_000_000_000_000)
lines = st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"") + b"\n")
stamps = times.map(lambda time: f"{format_time(time)} not a time\n".encode())
contents = lines | stamps | st.just(b"x" * PIECE)
framed = st.lists(st.builds(LogFrame, times, st.sampled_from(LogStream), contents))
raw = st.lists(st.builds(LogFrame, times, st.just(LogStream.STDOUT), contents))


def spell(frame: LogFrame, *, has_terminal: bool = False) -> bytes:
    text = f"{format_time(frame.time)} ".encode() + frame.data
    if has_terminal:
        return text
    return bytes([NUMBERS[frame.stream], 0, 0, 0]) + len(text).to_bytes(4) + text


def split(data: bytes, places: Sequence[int]) -> Iterator[bytes]:
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return (data[a:b] for a, b in pairwise(ends))


def cut(cutter: Cutter, chunks: Sequence[Sequence[bytes]]) -> list[LogFrame]:
    frames: list[LogFrame] = []
    for chunk in chunks:
        for number, part in enumerate(chunk):
            frames += cutter.feed(part, is_first=not number)
    return [*frames, *cutter.finish()]


@settings(max_examples=40)
@given(framed, st.lists(st.integers(0, 1 << 20), max_size=8))
def test_frames_are_whole_however_they_are_cut(frames: list[LogFrame], places: list[int]) -> None:
    data = b"".join(map(spell, frames))
    assert cut(FrameCutter(), [[*split(data, places)]]) == frames


@settings(max_examples=40)
@given(raw, st.lists(st.integers(0, 1 << 20), max_size=8), st.binary(max_size=9), st.booleans())
def test_a_terminals_entries_are_whole_however_they_are_cut(
    frames: list[LogFrame], places: list[int], last: bytes, is_chunked: bool
) -> None:
    # a process may end without a newline, and run again
    frames = [*frames, LogFrame(1, LogStream.STDOUT, last.replace(b"\n", b""))]
    texts = [spell(frame, has_terminal=True) for frame in frames]
    if is_chunked:
        again = [LogFrame(2, LogStream.STDOUT, b"again\n")]
        texts += [spell(frame, has_terminal=True) for frame in again]
        frames = frames + again
        chunks = [[*split(text, places)] for text in texts]
    else:
        chunks = [[*split(b"".join(texts), places)]]
    assert cut(TerminalCutter(), chunks) == frames


def test_what_follows_a_piece_is_an_entry_of_its_own() -> None:
    pieces = [LogFrame(1, LogStream.STDOUT, b"x" * PIECE), LogFrame(1, LogStream.STDOUT, b"y\n")]
    data = b"".join(spell(frame, has_terminal=True) for frame in pieces)
    assert cut(TerminalCutter(), [[data]]) == pieces


def test_an_error_among_the_frames_is_raised() -> None:
    text = b"Error grabbing logs: unexpected EOF\n"
    data = bytes([3, 0, 0, 0]) + len(text).to_bytes(4) + text
    with pytest.raises(EngineRefusedError, match=r"500: Error grabbing logs: unexpected EOF$"):
        cut(FrameCutter(), [[data]])


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\x00\x00\x00\x00\x00\x00",
        spell(LogFrame(1, LogStream.STDOUT, b"x"))[:-1],
        b"no frame at all",
        b"\x01\x00\x00\x00\xff\xff\xff\xff",
        b"\x01\x00\x00\x00\x00\x00\x00\x02x\n",
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(EngineInterruptedError):
        cut(FrameCutter(), [[data]])


def test_a_terminals_text_without_a_time_is_refused() -> None:
    with pytest.raises(EngineInterruptedError):
        cut(TerminalCutter(), [[b"Error grabbing logs: unexpected EOF\n"]])
