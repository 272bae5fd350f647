"""Jobs that are left to acts of our own, and the events that come meanwhile."""

from typing import Final

from api.engine.interface import Event, EventKind
from api.v1.job import Job, Status

_TURNS: Final = frozenset({EventKind.STARTED, EventKind.RESTARTED, EventKind.ENDED})


class Expectations:
    """By uid: the events since an act's last look, and the one that the act itself causes."""

    def __init__(self) -> None:
        self._heard: dict[str, list[EventKind]] = {}
        self._expected: dict[str, EventKind] = {}

    def begin(self, uid: str) -> None:
        """Keep the events that come from now on; earlier ones do not count any more."""
        self._heard[uid] = []

    def keep(self, event: Event, *, is_repeated: bool) -> bool:
        """Tell whether nobody else need act on an event: it is kept, or was expected.

        Of one that may be out of date it is kept only that there was one.
        """
        heard = self._heard.get(event.uid)
        if heard is not None:
            heard.append(EventKind.CHANGED if is_repeated else event.kind)
            return True
        return self._expected.pop(event.uid, None) is event.kind

    def end(self, uid: str, known: EventKind | None) -> list[EventKind]:
        """Return the events that came, the oldest first; ``known`` is expected if it did not."""
        heard = self._heard.pop(uid, [])
        if known is not None and known not in heard:
            self._expected[uid] = known
        return heard

    def expect_nothing(self) -> None:
        """Forget what was expected: everything has been read since."""
        self._expected.clear()


def shows_end(heard: list[EventKind]) -> bool:
    """Tell whether the newest of these events that is a start or an end is an end."""
    return [kind for kind in heard if kind in _TURNS][-1:] == [EventKind.ENDED]


def runs_again(known: Job, event: Event) -> bool:
    """Tell whether a job runs more than once: only an inspect shows how often."""
    is_next = known.started and event.kind in {EventKind.STARTED, EventKind.RESTARTED}
    return is_next or known.restarts > 0 or known.status is Status.RESTARTING
