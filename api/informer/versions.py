"""Which readings may be too old: versions, raised by whatever overtakes an answer on its way."""


class Versions:
    """A version of all that is known, and by uid the one at which it was last touched."""

    def __init__(self) -> None:
        self._touched: dict[str, int] = {}
        self._version = 0

    def version(self) -> int:
        """Return the present version, to be handed in with what is about to be read."""
        return self._version

    def invalidate(self, *uids: str) -> None:
        """Note that whatever was asked for before now may show an older state of ``uids``."""
        for uid in uids:
            self._version += 1
            self._touched[uid] = self._version

    def is_stale(self, uid: str, version: int) -> bool:
        """Tell whether what was asked for at ``version`` may show an older state of ``uid``."""
        return self._touched.get(uid, 0) > version

    def forget(self, version: int) -> None:
        """Forget what no reading asked for at ``version`` or later needs."""
        self._touched = {uid: at for uid, at in self._touched.items() if at > version}

    def __contains__(self, uid: str) -> bool:
        return uid in self._touched

    def __len__(self) -> int:
        return len(self._touched)
