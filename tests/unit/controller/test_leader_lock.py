"""The lock of a namespace: who has it, and what becomes of it when its file is deleted."""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.engine.interface import EngineInfo
from api.v1.job import Status
from controller.leader_lock import LeaderLock
from controller.leadership import Role
from controller.policy import Policy
from tests.fakes.engine.engine import Script
from tests.unit.controller.rig import Bench, until

ENGINE = EngineInfo(id="engine", version="20.10.24", api_version=(1, 41), cpus=2)


def find_file(folder: Path) -> Path:
    (path,) = folder.glob("*.lock")
    return path


def test_one_alone_gets_the_lock_until_it_lets_go(tmp_path: Path) -> None:
    first, second = LeaderLock(tmp_path, "ns"), LeaderLock(tmp_path, "ns")
    assert first.acquire(ENGINE)
    assert first.acquire(ENGINE)
    assert not second.acquire(ENGINE)
    assert not second.holds(ENGINE)
    first.release()
    assert not first.holds(ENGINE)
    assert second.acquire(ENGINE)


def test_a_holder_whose_file_was_deleted_gets_a_new_one_if_nobody_was_faster(
    tmp_path: Path,
) -> None:
    first, second = LeaderLock(tmp_path, "ns"), LeaderLock(tmp_path, "ns")
    assert first.acquire(ENGINE)
    find_file(tmp_path).unlink()
    assert not first.holds(ENGINE)
    assert first.acquire(ENGINE)
    assert first.holds(ENGINE)
    assert not second.acquire(ENGINE)


def test_a_holder_whose_file_was_deleted_yields_to_whoever_was_faster(tmp_path: Path) -> None:
    first, second = LeaderLock(tmp_path, "ns"), LeaderLock(tmp_path, "ns")
    assert first.acquire(ENGINE)
    find_file(tmp_path).unlink()
    assert second.acquire(ENGINE)
    assert not first.holds(ENGINE)
    assert not first.acquire(ENGINE)
    assert second.holds(ENGINE)


def test_a_file_deleted_between_opening_and_locking_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = LeaderLock(tmp_path, "ns"), LeaderLock(tmp_path, "ns")
    lock = fcntl.flock

    def delete_first(file: int, operation: int) -> None:
        monkeypatch.undo()
        find_file(tmp_path).unlink()
        assert second.acquire(ENGINE)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", delete_first)
    assert not first.acquire(ENGINE)
    assert not first.holds(ENGINE)
    assert second.holds(ENGINE)


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    lock = LeaderLock(folder, "ns")
    lock.check()
    assert lock.acquire(ENGINE)
    shutil.rmtree(folder)
    assert not lock.holds(ENGINE)
    assert lock.acquire(ENGINE)
    assert find_file(folder).exists()


def test_a_file_system_without_locks_is_an_error_and_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock = LeaderLock(tmp_path, "ns")
    with pytest.raises(OSError, match="No locks"):
        lock.acquire(ENGINE)
    assert not lock.holds(ENGINE)


async def test_no_two_controllers_act_after_the_file_of_the_lock_was_deleted(
    make: Callable[..., Bench], tmp_path: Path
) -> None:
    """The standby takes over at once; the first one learns of it before it starts anything."""
    first = make(Policy(max_concurrent=1), tick=3600.0)
    second = make(Policy(max_concurrent=1), first.engine, tick=3600.0)
    async with first.running():
        await until(lambda: first.reconciler.role is Role.ACTIVE)
        async with second.running():
            await until(lambda: second.reconciler.role is Role.STANDBY)
            find_file(tmp_path).unlink()
            await until(lambda: second.reconciler.role is Role.ACTIVE)
            names = [f"job{number}" for number in range(6)]
            for name in names:
                first.add(name, Script(seconds=0.01))
            await until(lambda: all(first.status(name) is Status.EXITED for name in names))
            await until(lambda: first.reconciler.role is Role.STANDBY)
            assert first.seen.starts == []
            assert len(second.seen.starts) == len(names)
        await until(lambda: first.reconciler.role is Role.ACTIVE)


async def test_a_lock_that_cannot_be_made_is_said_once_and_asked_for_until_it_can(
    make: Callable[..., Bench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    acquire = LeaderLock.acquire

    def count(lock: LeaderLock, info: EngineInfo) -> bool:
        nonlocal tries
        tries += 1
        return acquire(lock, info)

    monkeypatch.setattr(LeaderLock, "acquire", count)
    bench = make(folder=tmp_path / "locks")
    (tmp_path / "locks").write_text("no folder")
    with capture_logs() as lines:
        async with bench.running():
            await until(lambda: tries >= 3)
            assert bench.reconciler.role is Role.STANDBY
            (tmp_path / "locks").unlink()
            await until(lambda: bench.reconciler.role is Role.ACTIVE)
    told = [line["reason"] for line in lines if line["event"] == "standing by"]
    assert len(told) == 1
    assert "the lock cannot be made" in told[0]
