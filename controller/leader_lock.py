"""One controller for each namespace and engine: a kernel lock that ends with its process."""

import errno
import fcntl
import hashlib
import os
from pathlib import Path

from api.engine.interface import EngineInfo


class LeaderLock:
    """The lock on a file in ``folder``, which all controllers of the host must share.

    The kernel frees it when the holder dies, and only then. It does not expire: a holder that was
    stopped (SIGSTOP) and continues still holds it.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self._folder = folder
        self._namespace = namespace
        self._file: int | None = None
        self._path = folder
        self.engine_id: str | None = None
        """The engine the lock is held for, ``None`` while it is not held."""

    def check(self) -> None:
        """Raise ``OSError`` if locks cannot be made in the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable", str(self._folder))

    def holds(self, info: EngineInfo) -> bool:
        """Tell whether the lock for an engine is held, on the file that others would lock.

        If the file is deleted, by a cleaner of temporary files perhaps, the lock is worth nothing:
        the next controller makes a new file and locks that.
        """
        return self._file is not None and self.engine_id == info.id and self._is_in_place()

    def acquire(self, info: EngineInfo) -> bool:
        """Try to get the lock for an engine; raises ``OSError`` if its file cannot be opened."""
        if self.holds(info):
            return True
        self.release()
        path = self._find_path(info.id)
        file = self._open(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._file, self._path, self.engine_id = file, path, info.id
        if not self._is_in_place():
            # deleted between opening and locking
            self.release()
            return False
        return True

    def release(self) -> None:
        """Let go of the lock."""
        if self._file is not None:
            os.close(self._file)
        self._file = self.engine_id = None

    def _is_in_place(self) -> bool:
        assert self._file is not None
        try:
            there = self._path.lstat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._file))

    def _find_path(self, engine_id: str) -> Path:
        # An engine's id and a namespace may hold what a file's name may not.
        digest = hashlib.sha256(f"{engine_id}\n{self._namespace}".encode()).hexdigest()[:32]
        return self._folder / f"docker-job-dispatcher-{digest}.lock"

    def _open(self, path: Path) -> int:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            # A file opened for reading can be locked. It may belong to another user, from an
            # earlier controller: in a sticky folder the kernel refuses O_CREAT on it even to root.
            return os.open(path, flags)
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)
            return os.open(path, flags | os.O_CREAT, 0o644)
