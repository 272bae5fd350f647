"""The picture of one namespace: what is known of every job, with older knowledge kept out.

No I/O: the informer feeds it with what it read and is told what must be read again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from api.engine.client import Summary
from api.engine.observed import Observed, assign_orders, fold_container, fold_summary
from api.v1.job import Container
from api.v1.labels import NAMESPACE, is_job


class Listener(Protocol):
    """Told of every change, synchronously, in the order in which it became known."""

    def on_change(self, old: Observed | None, new: Observed | None) -> None:
        """Take one job's change; ``None`` stands for "not there"."""

    def on_look(self) -> None:
        """Look at everything again: a tick has passed, or the engine was lost or found."""


class Broadcast:
    """A listener that passes everything on to several, in their order."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def on_change(self, old: Observed | None, new: Observed | None) -> None:
        """Pass on one job's change."""
        for listener in self._listeners:
            listener.on_change(old, new)

    def on_look(self) -> None:
        """Pass on the word to look at everything."""
        for listener in self._listeners:
            listener.on_look()


class Picture:
    """Jobs of ``namespace`` by container id.

    ``wants_finish`` asks for an inspect of each finished container, once in its life, because a
    list does not show when it finished.
    """

    def __init__(self, namespace: str, listener: Listener, *, wants_finish: bool) -> None:
        self._namespace = namespace
        self._listener = listener
        self._wants_finish = wants_finish
        self._known: dict[str, Observed] = {}
        self._touched: dict[str, int] = {}
        self._moment = 0
        self.newest: str | None = None
        """The id of the newest container that a list has shown."""

    @property
    def known(self) -> Mapping[str, Observed]:
        """Every job known, by container id."""
        return self._known

    def mark(self) -> int:
        """Return the present moment, to be given with what is about to be read."""
        return self._moment

    def touch(self, container_id: str) -> None:
        """Note that whatever was sent before now may tell an older state of ``container_id``."""
        self._moment += 1
        self._touched[container_id] = self._moment

    def is_touched(self, container_id: str, mark: int) -> bool:
        """Tell whether ``container_id`` was touched after ``mark``."""
        return self._touched.get(container_id, 0) > mark

    def fold_container(
        self, container_id: str, container: Container | None, strangers: Collection[str] = ()
    ) -> None:
        """Fold in an inspect, newer than anything known; ``None``: the container is gone.

        ``strangers`` are images that carry the namespace label, which their containers inherit.
        """
        if container is None or not self._is_ours(
            container.name, container.labels, container.image, strangers
        ):
            self._put(container_id, None)
        else:
            self._put(container_id, fold_container(self._known.get(container_id), container))

    def fold_all(
        self, rows: Sequence[Summary], mark: int, strangers: Collection[str] = ()
    ) -> set[str]:
        """Fold in the full list sent at ``mark``; return the ids that must be inspected."""
        oldest_first = rows[::-1]
        unsure = self._fold(oldest_first, assign_orders(oldest_first, self._known), mark, strangers)
        present = {row.id for row in rows}
        for container_id in [known for known in self._known if known not in present]:
            if not self.is_touched(container_id, mark):
                self._put(container_id, None)
        self._touched = {key: moment for key, moment in self._touched.items() if moment > mark}
        self.newest = rows[0].id if rows else None
        return unsure

    def fold_new(
        self, rows: Sequence[Summary], mark: int, strangers: Collection[str] = ()
    ) -> set[str]:
        """Fold in the list of what is newer than ``newest``; return the ids to inspect."""
        before = self._known.get(self.newest or "")
        oldest_first = rows[::-1]
        orders = assign_orders(oldest_first, self._known, before.order if before else 0)
        if rows:
            self.newest = rows[0].id
        return self._fold(oldest_first, orders, mark, strangers)

    def fold_active(
        self, rows: Sequence[Summary], mark: int, strangers: Collection[str] = ()
    ) -> set[str]:
        """Fold in the list of active containers; return the ids to inspect.

        An active job that the list does not show has ended, or is gone.
        """
        orders = {
            row.id: self._known[row.id].order if row.id in self._known else row.created * 10**9
            for row in rows
        }
        unsure = self._fold(rows, orders, mark, strangers)
        present = {row.id for row in rows}
        for container_id, known in self._known.items():
            if known.is_active and container_id not in present:
                unsure.add(container_id)
        return unsure

    def _fold(
        self,
        rows: Iterable[Summary],
        orders: Mapping[str, int],
        mark: int,
        strangers: Collection[str],
    ) -> set[str]:
        unsure: set[str] = set()
        for row in rows:
            if self.is_touched(row.id, mark):
                unsure.add(row.id)
                # An older look is better than none: a plan must not overlook the job meanwhile.
                if row.id in self._known:
                    continue
            if not self._is_ours(row.name, row.labels, row.image, strangers):
                self._put(row.id, None)
                continue
            folded = fold_summary(self._known.get(row.id), row, orders[row.id])
            if folded is None:
                unsure.add(row.id)
                continue
            self._put(row.id, folded)
            # What has started may be in a later state than any list ever shows.
            if self._wants_finish and folded.started and not folded.detailed:
                unsure.add(row.id)
        return unsure

    def _is_ours(
        self, name: str, labels: Mapping[str, str], image: str, strangers: Collection[str]
    ) -> bool:
        image_labels = {NAMESPACE: ""} if image in strangers else None
        return is_job(name, labels, namespace=self._namespace, image_labels=image_labels)

    def _put(self, container_id: str, new: Observed | None) -> None:
        old = self._known.get(container_id)
        if old == new:
            return
        if new is None:
            del self._known[container_id]
        else:
            self._known[container_id] = new
        self._listener.on_change(old, new)
