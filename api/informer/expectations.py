"""Jobs that are left to acts of our own, and the events that come meanwhile."""

from collections.abc import Sequence
from typing import Final

from api.engine.interface import Event, EventKind
from api.informer.credence import Hearing
from api.v1.job import Job, Status
from api.v1.record import record

_TURNS: Final = frozenset({EventKind.STARTED, EventKind.RESTARTED, EventKind.ENDED})


@record
class News:
    """What came while a job was held: ``kinds``, the oldest first.

    ``exit_code`` is that of the newest event, an end, where it can be believed; ``moment`` its time
    in nanoseconds.
    """

    kinds: Sequence[EventKind] = ()
    exit_code: int | None = None
    moment: int | None = None

    @property
    def shows_end(self) -> bool:
        """Whether the newest event that is a start or an end is an end."""
        return [kind for kind in self.kinds if kind in _TURNS][-1:] == [EventKind.ENDED]


class Expectations:
    """By uid: the events since an act's last look, and the one that the act itself causes."""

    def __init__(self) -> None:
        self._heard: dict[str, News] = {}
        self._expected: dict[str, EventKind] = {}

    def begin(self, uid: str) -> None:
        """Keep the events that come from now on; earlier ones do not count any more."""
        self._heard[uid] = News()

    def keep(self, hearing: Hearing) -> bool:
        """Tell whether nobody else need act on an event: it is kept, or was expected.

        Of one that may be out of date it is kept only that there was one.
        """
        event = hearing.event
        heard = self._heard.get(event.uid)
        if heard is not None:
            kind = EventKind.CHANGED if hearing.is_repeated else event.kind
            self._heard[event.uid] = News((*heard.kinds, kind), hearing.exit_code, event.time)
            return True
        return self._expected.pop(event.uid, None) is event.kind

    def end(self, uid: str, known: EventKind | None) -> News:
        """Return what came; ``known`` is expected if it did not."""
        heard = self._heard.pop(uid, News())
        if known is not None and known not in heard.kinds:
            self._expected[uid] = known
        return heard

    def expect_nothing(self) -> None:
        """Forget what was expected: everything has been read since."""
        self._expected.clear()


def runs_again(known: Job, event: Event) -> bool:
    """Tell whether a job runs more than once: only an inspect shows how often."""
    is_next = known.started and event.kind in {EventKind.STARTED, EventKind.RESTARTED}
    return is_next or known.restarts > 0 or known.status is Status.RESTARTING
