"""Tokens follow their file, and a bad change changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.server.access.token_store import TokenStore
from api.server.access.tokens import TokenFileError

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


@asynccontextmanager
async def watched(file: Path) -> AsyncIterator[TokenStore]:
    token_store = TokenStore(file, interval=0.01)
    watching = asyncio.create_task(token_store.keep_watching())
    yield token_store
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def knows(token_store: TokenStore, token: str) -> bool:
    return token_store.identify(token.encode()) is not None


async def test_a_token_added_counts_and_one_removed_does_not(file: Path) -> None:
    async with watched(file) as token_store:
        file.write_text(B)
        await until(lambda: knows(token_store, B))
        assert not knows(token_store, A)
        file.write_text("")
        await until(lambda: not knows(token_store, B))


@pytest.mark.parametrize("change", ["bad", "gone", "directory", "huge"])
async def test_a_bad_change_leaves_the_last_good_tokens_in_force(
    file: Path, logs: list[Any], change: str
) -> None:
    async with watched(file) as token_store:
        file.unlink()
        match change:
            case "bad":
                file.write_text(f"{B}\nsecret!")
            case "directory":
                file.mkdir()
            case "huge":
                file.write_bytes(b"#" * ((1 << 20) + 1))
        await until(lambda: any("refused" in e["event"] for e in logs))
        assert knows(token_store, A)
        assert not knows(token_store, B)
        assert "secret" not in str(logs)
        if change == "directory":
            file.rmdir()
        file.write_text(B)
        await until(lambda: knows(token_store, B))
    told = [e["error"] for e in logs if "refused" in e["event"]]
    assert len(told) == len(set(told))


async def test_a_link_that_flips_is_followed(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(file)
    async with watched(link) as token_store:
        other = tmp_path / "next"
        other.write_text(B)
        flip = tmp_path / "flip"
        flip.symlink_to(other)
        flip.rename(link)
        await until(lambda: knows(token_store, B))


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
