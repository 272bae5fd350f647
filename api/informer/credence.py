"""How far an event is believed before anything is read: what it tells, and when it comes."""

from typing import Final

from api.engine.interface import Event, EventKind
from api.informer.merge import is_further, shows_no_more
from api.informer.store import JobStore
from api.v1.record import record
from api.v1.times import SECOND

_LATE: Final = SECOND
"""Nanoseconds: events that are sent at one time may overtake each other, by much less."""


@record
class Hearing:
    """An event and its credence.

    ``is_repeated``: it was sent before this subscription began, and may be out of date.
    ``is_news``: it is neither that nor late, so that what it tells of is the job's newest state.
    ``exit_code``: that of an end, where no label of the job can have forged it. ``is_crowded``:
    another creation ended within a second, and may have begun after this one.
    """

    event: Event
    is_repeated: bool
    is_news: bool
    exit_code: int | None = None
    is_crowded: bool = False


class Credence:
    """Judges the events of one subscription after the other, and folds them into ``store``.

    ``wants_starts`` has every start read, whatever is folded in from its event.
    """

    def __init__(self, store: JobStore, *, wants_starts: bool) -> None:
        self._store = store
        self._wants_starts = wants_starts
        self._newest = 0
        self._repeats_until = 0
        self._last_creation = 0
        self._candid: set[str] = set()
        """Uids of running jobs whose start has shown that no label of theirs is an exit code."""

    def begin(self) -> None:
        """Begin with a new subscription: it starts with some of the past."""
        self._repeats_until = self._newest
        self._candid.clear()

    def judge(self, event: Event) -> Hearing:
        """Return how far ``event`` can be believed."""
        is_repeated = event.time <= self._repeats_until
        is_news = not is_repeated and event.time > self._newest - _LATE
        self._newest = max(self._newest, event.time)
        code, is_crowded = None, False
        match event.kind:
            case EventKind.CREATED:
                is_crowded = abs(event.time - self._last_creation) < SECOND
                self._last_creation = event.time
            case EventKind.STARTED if event.exit_code is None:
                self._candid.add(event.uid)
            case EventKind.STARTED | EventKind.REMOVED:
                self._candid.discard(event.uid)
            case EventKind.ENDED if event.uid in self._candid:
                self._candid.discard(event.uid)
                code = event.exit_code if is_news else None
        return Hearing(event, is_repeated, is_news, code, is_crowded)

    def believe(self, hearing: Hearing) -> bool:
        """Fold in what an event tells; tell whether nothing need be read because of it."""
        event, store = hearing.event, self._store
        if event.kind is not EventKind.CREATED and self._believe_look(hearing):
            return True
        match event.kind:
            case EventKind.REMOVED:
                # no inspect: a uid does not come back
                store.fold_inspect(event.uid, None)
                return True
            case EventKind.CREATED:
                return store.fold_creation(event.uid, event.job if hearing.is_news else None)
            case EventKind.STARTED:
                store.note_start(event.uid)
                if hearing.is_news and self._wants_starts:
                    # it holds a slot, though no inspect may be answered while its shim is stuck
                    if event.job is not None or not store.fold_start(event.uid, event.time):
                        store.fold_rerun(event.uid)
                elif hearing.is_news:
                    return store.fold_start(event.uid, event.time)
            case EventKind.ENDED if not hearing.is_repeated:
                return store.fold_end(event.uid, hearing.exit_code, event.time)
            case EventKind.CHANGED if not self._wants_starts:
                # what it tells is read by a list, which shows no restart policy
                store.fold_change(event.uid)
        return False

    def _believe_look(self, hearing: Hearing) -> bool:
        """Fold in the look that an event comes from, if it shows the run further on than is known.

        Tell whether nothing need be read: it did, or it shows nothing else.
        """
        seen, known = hearing.event.job, self._store.known.get(hearing.event.uid)
        if seen is None or known is None or hearing.is_repeated:
            return False
        is_news = is_further(known, seen)
        if is_news:
            self._store.note_start(seen.uid)
            self._store.fold_inspect(seen.uid, seen)
        return is_news or shows_no_more(known, seen)
