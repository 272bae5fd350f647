"""Tokens follow their file, and a bad change changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.server.access.token_store import TokenStore
from api.server.access.tokens import TokenFileError
from tests.support.virtual_time import VirtualLoop

A, B = "a" * 20, "b" * 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(A)
    path.chmod(0o600)
    return path


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualLoop]:
    async def run_here(read: Callable[[], bytes]) -> bytes:
        return read()

    # a thread takes time that the virtual clock does not know of
    monkeypatch.setattr(asyncio, "to_thread", run_here)
    loop = VirtualLoop()
    yield loop
    loop.close()


def watch(loop: VirtualLoop, file: Path, play: Callable[[TokenStore], Awaitable[None]]) -> None:
    """Run ``play`` while the file is looked at every two seconds."""

    async def run() -> None:
        token_store = TokenStore(file, interval=2.0)
        watching = asyncio.create_task(token_store.keep_watching())
        await asyncio.sleep(1)
        await play(token_store)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    loop.run(run())


def knows(token_store: TokenStore, token: str) -> bool:
    return token_store.identify(token.encode()) is not None


def test_a_change_counts_at_the_second_look_that_sees_it(loop: VirtualLoop, file: Path) -> None:
    async def play(token_store: TokenStore) -> None:
        file.write_text(B)
        await asyncio.sleep(2)
        assert (knows(token_store, A), knows(token_store, B)) == (True, False)
        await asyncio.sleep(2)
        assert (knows(token_store, A), knows(token_store, B)) == (False, True)
        file.write_text("")
        await asyncio.sleep(4)
        assert not knows(token_store, B)

    watch(loop, file, play)


@pytest.mark.parametrize("change", ["bad", "gone", "directory", "huge"])
def test_a_bad_change_leaves_the_last_good_tokens_in_force(
    loop: VirtualLoop, file: Path, logs: list[Any], change: str
) -> None:
    async def play(token_store: TokenStore) -> None:
        file.unlink()
        match change:
            case "bad":
                file.write_text(f"{B}\nsecret!")
            case "directory":
                file.mkdir()
            case "huge":
                file.write_bytes(b"#" * ((1 << 20) + 1))
        await asyncio.sleep(60)
        assert (knows(token_store, A), knows(token_store, B)) == (True, False)
        if change == "directory":
            file.rmdir()
        file.write_text(B)
        await asyncio.sleep(4)
        assert (knows(token_store, A), knows(token_store, B)) == (False, True)

    watch(loop, file, play)
    assert len([e for e in logs if "refused" in e["event"]]) == 1
    assert "secret" not in str(logs)


def test_a_link_that_flips_is_followed(loop: VirtualLoop, file: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(file)

    async def play(token_store: TokenStore) -> None:
        other = tmp_path / "next"
        other.write_text(B)
        flip = tmp_path / "flip"
        flip.symlink_to(other)
        flip.rename(link)
        await asyncio.sleep(4)
        assert knows(token_store, B)

    watch(loop, link, play)


def test_a_look_that_fails_does_not_end_the_watch(
    loop: VirtualLoop, file: Path, logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(token_store: TokenStore) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(TokenStore, "_read", lambda _: 1 // 0)
            await asyncio.sleep(4)
        file.write_text(B)
        await asyncio.sleep(4)
        assert knows(token_store, B)

    watch(loop, file, play)
    assert "reading the token file failed" in {e["event"] for e in logs}


def test_at_start_a_bad_file_is_fatal(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match="No such file"):
        TokenStore(tmp_path / "none")
    bad = tmp_path / "bad"
    bad.write_text("x")
    with pytest.raises(TokenFileError, match="bad: line 1: a token is"):
        TokenStore(bad)


def test_a_file_that_others_can_read_is_a_warning(file: Path, logs: list[Any]) -> None:
    TokenStore(file)
    assert logs == []
    file.chmod(0o644)
    TokenStore(file)
    assert [e["fault"] for e in logs] == [f"{file} can be read by everybody"]
    assert logs[0]["log_level"] == "warning"


def test_a_file_without_tokens_is_a_warning(file: Path, logs: list[Any]) -> None:
    file.write_text("# none\n")
    TokenStore(file)
    assert [e["event"] for e in logs] == ["token file lists no token: nobody may ask"]
