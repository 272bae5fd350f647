"""Tokens follow their file, and a bad change changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.server.access.token_store import Keyring
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
async def watched(file: Path) -> AsyncIterator[Keyring]:
    keyring = Keyring(file, interval=0.01)
    watching = asyncio.create_task(keyring.keep_watching())
    yield keyring
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def knows(keyring: Keyring, token: str) -> bool:
    return keyring.identify(token.encode()) is not None


async def test_a_token_added_counts_and_one_removed_does_not(file: Path) -> None:
    async with watched(file) as keyring:
        file.write_text(B)
        await until(lambda: knows(keyring, B))
        assert not knows(keyring, A)
        file.write_text("")
        await until(lambda: not knows(keyring, B))


@pytest.mark.parametrize("change", ["bad", "gone", "directory", "huge"])
async def test_a_bad_change_leaves_the_last_good_tokens_in_force(
    file: Path, logs: list[Any], change: str
) -> None:
    async with watched(file) as keyring:
        file.unlink()
        match change:
            case "bad":
                file.write_text(f"{B}\nsecret!")
            case "directory":
                file.mkdir()
            case "huge":
                file.write_bytes(b"#" * ((1 << 20) + 1))
        await until(lambda: any("refused" in e["event"] for e in logs))
        assert knows(keyring, A)
        assert not knows(keyring, B)
        assert "secret" not in str(logs)
        if change == "directory":
            file.rmdir()
        file.write_text(B)
        await until(lambda: knows(keyring, B))
    told = [e["error"] for e in logs if "refused" in e["event"]]
    assert len(told) == len(set(told))


async def test_a_link_that_flips_is_followed(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(file)
    async with watched(link) as keyring:
        other = tmp_path / "next"
        other.write_text(B)
        flip = tmp_path / "flip"
        flip.symlink_to(other)
        flip.rename(link)
        await until(lambda: knows(keyring, B))


def test_at_start_a_bad_file_is_fatal(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match="No such file"):
        Keyring(tmp_path / "none")
    bad = tmp_path / "bad"
    bad.write_text("x")
    with pytest.raises(TokenFileError, match="bad: line 1: a token is"):
        Keyring(bad)


def test_a_file_that_others_can_read_is_a_warning(file: Path, logs: list[Any]) -> None:
    Keyring(file)
    assert logs == []
    file.chmod(0o644)
    Keyring(file)
    assert [e["fault"] for e in logs] == [f"{file} can be read by everybody"]
    assert logs[0]["log_level"] == "warning"


def test_a_file_without_tokens_is_a_warning(file: Path, logs: list[Any]) -> None:
    file.write_text("# none\n")
    Keyring(file)
    assert [e["event"] for e in logs] == ["token file lists no token: nobody may ask"]
