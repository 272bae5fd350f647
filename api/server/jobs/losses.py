"""Remembers jobs that someone removed before they ran, so that asking for one is answered."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog

from api.informer.merge import Observed

_REMEMBERED: Final = 10_000
_log = structlog.get_logger(__name__)


class Losses:
    """A listener of the informer; ``count`` is called for every loss. Memory only.

    ``has_run`` tells of an id whether its start was heard of: a short job may be gone before
    anybody has looked at it again.
    """

    def __init__(self, count: Callable[[], None], has_run: Callable[[str], bool]) -> None:
        self._count = count
        self._has_run = has_run
        self._names: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def on_change(self, old: Observed | None, new: Observed | None) -> None:
        """Take in one job's change."""
        if new is not None:
            self._names.pop(new.name, None)
        elif old is not None and old.is_pending and not self._has_run(old.id):
            self._count()
            _log.warning("job lost: it was removed before it ran", job=old.name, id=old.id)
            self._names[old.name] = None
            if len(self._names) > _REMEMBERED:
                self._names.popitem(last=False)

    def on_resync(self) -> None:
        """Do nothing: only changes tell of losses."""
