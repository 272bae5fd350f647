"""A kernel lock on a file that may stand where others write: never waits, judges what it finds."""

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ALL: Final = 0o077
# systemd's range for DynamicUser=: the service may have had another of them before
_DYNAMIC_USERS: Final = range(61184, 65520)
_LOCKS: Final = Path("/proc/locks")


class LockFile:
    """The lock on the file at ``path``, which is made with mode 0600 if there is none.

    The kernel frees it when the holder dies, and only then. It does not expire: a holder that was
    stopped (SIGSTOP) and continues still holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = os.fspath(path)
        self._file: int | None = None
        self._locked: os.stat_result | None = None
        """What the kernel said of the open file."""

    def holds(self) -> bool:
        """Tell whether the lock is held, on the file that others would lock.

        If the file is deleted, by a cleaner of temporary files perhaps, the lock is worth nothing:
        the next controller makes a new file and locks that.
        """
        if self._locked is None:
            return False
        try:
            there = os.lstat(self._name)  # before every plan; a Path takes thrice the time
        except OSError:
            return False
        return os.path.samestat(there, self._locked)

    def acquire(self, *, trusted: bool = True) -> bool:
        """Try to get the lock, without waiting for anything.

        Raises ``OSError`` if the file cannot be opened or locked, and if it has to be ``trusted``
        also for what is no regular file of this user's or root's.
        """
        self.release()
        self._file = self._open()
        try:
            found = self._locked = os.fstat(self._file)
            if trusted and not (stat.S_ISREG(found.st_mode) and found.st_uid in {0, os.geteuid()}):
                message = "no regular file of this user's or root's"
                raise PermissionError(errno.EPERM, message, str(self.path))
            if found.st_mode & _ALL and os.geteuid() in {0, found.st_uid} and _is_trusted(found):
                # controllers of version 0.1 let all read it, and who can read a file can lock it
                os.fchmod(self._file, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            acquired = self.holds()  # not if it was deleted between opening and locking
        except BlockingIOError:
            acquired = False
        except OSError:
            self.release()
            raise
        if not acquired:
            self.release()
        return acquired

    def release(self) -> None:
        """Let go of the lock."""
        if self._file is not None:
            os.close(self._file)
        self._file = self._locked = None

    def is_trusted(self) -> bool:
        """Tell whether the file is a regular one of this user's, root's or a service's."""
        try:
            return _is_trusted(self.path.lstat())
        except OSError:
            return False

    def may_be_controllers(self) -> bool:
        """Tell whether a controller may hold the lock, as far as this process can see.

        The kernel names the holder; where it does not, as in a container, the file's owner decides.
        """
        try:
            found = self.path.lstat()
        except OSError:
            return True
        holders = _find_holders(found)
        return any(map(_may_be_controller, holders)) if holders else _is_trusted(found)

    def _open(self) -> int:
        try:
            # without O_CREAT: in a sticky folder the kernel refuses it for another user's file
            return os.open(self.path, _FLAGS)
        except FileNotFoundError:
            return os.open(self.path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)


def _is_trusted(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and _is_trusted_user(found.st_uid)


def _is_trusted_user(uid: int) -> bool:
    return uid in {0, os.geteuid()} or uid in _DYNAMIC_USERS


def _find_holders(found: os.stat_result) -> list[int]:
    """Return the processes that ``/proc/locks`` names as holders of a ``flock`` on a file."""
    inode = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        lines = [line.split() for line in _LOCKS.read_text().splitlines()]
    except OSError:
        return []
    # `5: FLOCK ADVISORY WRITE 1463 fe:00:2449688 0 EOF`; who waits has `->` before the kind
    return [int(line[4]) for line in lines if line[1] == "FLOCK" and line[5] == inode]


def _may_be_controller(pid: int) -> bool:
    """Tell whether a process lives, and is of this user, of root or of a service of systemd."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        # it left the lock to a child: no controller does that
        return False
    except PermissionError:
        pass
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return True
    return any(_is_trusted_user(int(x.split()[2])) for x in lines if x.startswith("Uid:"))
