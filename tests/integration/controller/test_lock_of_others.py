"""Locks beside real processes: of other users, who may not hinder, and of controllers, who must."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.engine.interface import EngineInfo
from controller.leader_lock import LeaderLock
from controller.lock_file import LockFile
from tests.support.waiting import wait_until

ENGINE = EngineInfo(id="engine", version="20.10.24", api_version=(1, 41), cpus=2)
NOBODY = 65534

# What version 0.1 did: the file opened or made, readable by all, then locked for good.
HOLD = """
import fcntl, os, sys, time
os.setgroups([])
os.setuid(int(sys.argv[2]))
flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
try:
    file = os.open(sys.argv[1], flags)
except FileNotFoundError:
    file = os.open(sys.argv[1], flags | os.O_CREAT, 0o644)
try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("standby", flush=True)
else:
    print("active", flush=True)
if sys.argv[3:] and os.fork():
    sys.exit()
time.sleep(60)
"""


@contextmanager
def hold(path: Path, *words: str, user: int = 0) -> Iterator[str]:
    """Yield what a process says that tries for the lock on ``path``: active, standby or nothing."""
    command = [sys.executable, "-c", HOLD, str(path), str(user), *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            os.killpg(process.pid, 9)


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a folder as the host's /run: all may enter, and write in ``lock`` of it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "lock").mkdir()
    (folder / "lock").chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def lock(place: Path) -> Iterator[LeaderLock]:
    """Return a lock on its default terms."""
    lock = make(place)
    lock.check()
    yield lock
    lock.release()


def make(place: Path) -> LeaderLock:
    return LeaderLock(place / "own", "ns", former=place / "lock")


def name_file(place: Path) -> str:
    """Return the name that the lock's file has."""
    probe = LeaderLock(place / "probe", "ns")
    assert probe.acquire(ENGINE)
    probe.release()
    return next((place / "probe").iterdir()).name


def test_the_file_and_its_folder_are_the_services_alone(place: Path, lock: LeaderLock) -> None:
    assert lock.acquire(ENGINE)
    assert (place / "own").stat().st_mode & 0o777 == 0o700
    for folder in ("own", "lock"):
        (file,) = (place / folder).iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        with hold(file, user=NOBODY) as said:
            assert said == ""
    assert not make(place).acquire(ENGINE)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)
    os.chown(path, NOBODY, NOBODY)


def make_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def make_folder(path: Path) -> None:
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)


def make_file(path: Path) -> None:
    path.touch(0o600)
    os.chown(path, NOBODY, NOBODY)


THINGS = [make_fifo, make_link, make_folder, make_file]


@pytest.mark.parametrize("put", THINGS)
def test_what_others_put_in_the_former_place_hinders_nobody(
    place: Path, lock: LeaderLock, put: Callable[[Path], None]
) -> None:
    put(place / "lock" / name_file(place))
    assert lock.acquire(ENGINE)
    assert lock.holds(ENGINE)
    assert not make(place).acquire(ENGINE)


@pytest.mark.parametrize("put", [make_fifo, make_folder, make_file])
def test_what_is_no_file_of_ours_is_no_lock(
    place: Path, lock: LeaderLock, put: Callable[[Path], None]
) -> None:
    put(place / "own" / name_file(place))
    with pytest.raises(PermissionError, match="no regular file of this user's or root's"):
        lock.acquire(ENGINE)


@pytest.mark.parametrize("owner", [0, NOBODY])
@pytest.mark.parametrize("words", [(), ("leave it to a child",)])
def test_a_lock_held_by_another_user_in_the_former_place_hinders_nobody(
    place: Path, lock: LeaderLock, owner: int, words: tuple[str, ...]
) -> None:
    file = place / "lock" / name_file(place)
    file.touch()
    file.chmod(0o644)
    os.chown(file, owner, owner)
    with hold(file, *words, user=NOBODY) as said, capture_logs() as logs:
        assert said == "active"
        assert lock.acquire(ENGINE)
        assert "locked by what is no controller" in logs[0]["fault"]
    # from now on they cannot even open root's
    assert (file.stat().st_mode & 0o777 == 0o600) == (owner == 0)


def test_a_file_that_its_owner_deletes_takes_the_lead_from_nobody(
    place: Path, lock: LeaderLock
) -> None:
    file = place / "lock" / name_file(place)
    make_file(file)
    assert lock.acquire(ENGINE)
    file.unlink()
    assert lock.holds(ENGINE)


@pytest.mark.parametrize("owner", [None, 0, 61184, NOBODY])
def test_a_former_controller_is_waited_for(
    place: Path, lock: LeaderLock, owner: int | None
) -> None:
    """The file may be from one before it, or from whoever was faster."""
    file = place / "lock" / name_file(place)
    if owner is not None:
        file.touch()
        file.chmod(0o644)
        os.chown(file, owner, owner)
    with hold(file) as said:
        assert said == "active"
        assert not lock.acquire(ENGINE)
        # its rival takes nothing that it does not act on
        assert not lock.holds(ENGINE)
        assert not lock.acquire(ENGINE)
    wait_until(lambda: lock.acquire(ENGINE), "the lead")


@pytest.mark.parametrize("owner", [None, 0, 61184, NOBODY])
def test_a_former_controller_waits(place: Path, lock: LeaderLock, owner: int | None) -> None:
    file = place / "lock" / name_file(place)
    if owner is not None:
        file.touch()
        file.chmod(0o644)
        os.chown(file, owner, owner)
    assert lock.acquire(ENGINE)
    with hold(file) as said:
        assert said == "standby"
    lock.release()
    with hold(file) as said:
        assert said == "active"


def test_a_former_place_that_cannot_be_written_is_left_alone(
    place: Path, lock: LeaderLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where only root may write in /run/lock, or a container has none of it."""
    monkeypatch.setattr("controller.leader_lock.LockFile", OnlyOwn)
    with capture_logs() as logs:
        assert lock.acquire(ENGINE)
        lock.release()
        assert lock.acquire(ENGINE)
    assert [line["event"] for line in logs] == ["the former place of the lock is left alone"]
    shutil.rmtree(place / "lock")
    assert make(place / "else").acquire(ENGINE)


class OnlyOwn(LockFile):
    """A file in a folder of the former place that only root may write."""

    def acquire(self, *, trusted: bool = True) -> bool:
        if not trusted:
            raise PermissionError(13, "Permission denied", str(self.path))
        return super().acquire(trusted=trusted)


def test_a_folder_that_others_may_write_is_told_of(place: Path) -> None:
    with capture_logs() as logs:
        LeaderLock(place / "lock", "ns").check()
    assert [line["event"] for line in logs] == ["others may write in the folder of the lock"]
