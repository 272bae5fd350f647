"""One controller for each namespace and engine: a kernel lock that ends with its process."""

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

import structlog

from api.engine.interface import EngineInfo
from controller.lock_file import LockFile

LOCK_FOLDER: Final = Path("/run/docker-job-dispatcher")
"""The default folder of locks: nobody but the service may write there."""
FORMER_FOLDER: Final = Path("/run/lock")
"""That of version 0.1, where every user of the host may write."""
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_log = structlog.get_logger(__name__)


class LeaderLock:
    """The lock on a file in ``folder``, which all controllers of the host must share.

    In ``former``, controllers of version 0.1 have theirs. It is acquired too, so that none of them
    acts beside this one; what other users put there does not count.
    """

    def __init__(self, folder: Path, namespace: str, *, former: Path | None = None) -> None:
        self._folder = folder
        self._former = former
        self._namespace = namespace
        self._locks: list[LockFile] = []
        self._spares: list[LockFile] = []
        self._told = ""
        self.engine_id: str | None = None
        """The engine the lock is held for, ``None`` while it is not held."""

    def check(self) -> None:
        """Raise ``OSError`` if locks cannot be made in the folder."""
        self._make_folder()
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable", str(self._folder))
        if self._folder.stat().st_mode & _OTHERS:
            _log.warning("others may write in the folder of the lock", folder=str(self._folder))

    def holds(self, info: EngineInfo) -> bool:
        """Tell whether the lock for an engine is held, on the files that others would lock."""
        return self.engine_id == info.id and all(lock.holds() for lock in self._locks)

    def find_loss(self, info: EngineInfo) -> str:
        """Return what to say if the lock was held and is not any more."""
        is_lost = self.engine_id == info.id and not self.holds(info)
        text = "the file of the lock was deleted or replaced: it is asked for anew"
        return text if is_lost else ""

    def find_rival(self) -> str:
        """Return what to say of who has the lock."""
        return "another controller serves this namespace"

    def may_act(self) -> bool:
        """Tell whether the lock was acquired: it does not expire."""
        return self.engine_id is not None

    async def keep(self) -> None:
        """Do nothing: the kernel keeps it."""

    async def give_up(self) -> None:
        """Let go of the lock, for another controller to take it."""
        self.release()

    def acquire(self, info: EngineInfo) -> bool:
        """Try to get the lock for an engine; raises ``OSError`` if its file cannot be used."""
        if self.holds(info):
            return True
        self.release()
        # An engine's id and a namespace may hold what a file's name may not.
        digest = hashlib.sha256(f"{info.id}\n{self._namespace}".encode()).hexdigest()[:32]
        name = f"docker-job-dispatcher-{digest}.lock"
        self._make_folder()
        lock = LockFile(self._folder / name)
        self._locks.append(lock)
        try:
            if lock.acquire() and self._keep_former_out(name):
                self.engine_id = info.id
                return True
        except OSError:
            self.release()
            raise
        self.release()
        return False

    def release(self) -> None:
        """Let go of the lock."""
        for lock in self._locks + self._spares:
            lock.release()
        self._locks, self._spares, self.engine_id = [], [], None

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _keep_former_out(self, name: str) -> bool:
        """Tell whether no controller of version 0.1 acts, nor will while the lock is held."""
        if self._former is None or not self._former.is_dir():
            return True
        lock = LockFile(self._former / name)
        try:
            if lock.acquire(trusted=False):
                # another user may delete his file at any time, and take the lead from nobody by it
                (self._locks if lock.is_trusted() else self._spares).append(lock)
                return True
            if lock.may_be_controllers():
                return False
            fault = f"{lock.path} is locked by what is no controller"
        except OSError as error:
            if lock.is_trusted():
                raise
            fault = str(error)
        if fault != self._told:
            _log.warning("the former place of the lock is left alone", fault=fault)
        self._told = fault
        return True
