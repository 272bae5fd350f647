"""Which queues there are for the API: those of its config, and ``default``."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from api.server.admission.violations import Violation
from api.server.admission.wishes import JOB
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.v1.queue import Queue
from api.v1.wishes import DEFAULT_QUEUE


class Queues:
    """The queues that ``read`` returns now, by name."""

    def __init__(self, read: Callable[[], Mapping[str, Queue]]) -> None:
        self._read = read

    def find(self, name: str) -> Queue:
        """Return a queue; one that is not configured has no limits."""
        return self._read().get(name) or Queue(name)

    def check(self, name: str) -> None:
        """Raise ``Problem`` 400 ``UnknownQueue`` for a name that no queue has."""
        if name == DEFAULT_QUEUE or name in self._read():
            return
        violation = Violation(f"/{JOB}/Queue", f"no queue is called {name}")
        message = f"{violation.pointer}: {violation.message}; the operator configures queues"
        details = {"violations": [violation.describe()]}
        raise Problem(400, ProblemReason.UNKNOWN_QUEUE, message, details)

    def list_all(self, others: Iterable[str] = ()) -> Iterator[Queue]:
        """Yield ``default``, all that are configured, and those among ``others`` that are not."""
        for name in {DEFAULT_QUEUE, *self._read(), *others}:
            yield self.find(name)
