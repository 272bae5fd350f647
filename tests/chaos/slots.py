"""When each job held a slot, and which starts found none free: invariant I3 from the engine."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos.story import Life, Story

_FOREVER = 2**63


@dataclass(frozen=True, slots=True)
class Hold:
    """A span in which a container held a slot; ``first`` if we began it, not the engine."""

    life: Life
    begin: int
    end: int
    first: bool


@dataclass(frozen=True, slots=True)
class Overshoot:
    """A first start that found ``others`` holding; ``late`` of all were ambiguous starts."""

    life: Life
    others: tuple[Life, ...]
    late: int


def find_overshoots(story: Story) -> list[Overshoot]:
    """Return every first start at which more than ``limit`` jobs held a slot.

    The one exemption: an ambiguous start stops counting after a call timeout and may take effect
    later, so each such start among the holders may exceed the limit by one.
    """
    holds = sorted(
        (hold for life in story.lives.values() for hold in _find_holds(story, life)),
        key=lambda hold: hold.begin,
    )
    found: list[Overshoot] = []
    active: list[Hold] = []
    for hold in holds:
        active = [other for other in active if other.end > hold.begin]
        if hold.first:
            others = tuple(other.life for other in active)
            late = sum(bool(life.ambiguous) for life in (hold.life, *others))
            if len(others) + 1 > story.rules.limit:
                found.append(Overshoot(hold.life, others, late))
        active.append(hold)
    return found


def _find_holds(story: Story, life: Life) -> list[Hold]:
    """Return the spans of one container; one alone if the engine runs it again by its policy."""
    begin = life.started
    if begin is None:
        return []
    order = story.orders.get(life.name)
    if order is not None and order.retries:
        return [Hold(life, begin, _end_of(life, life.starts or [begin]), first=True)]
    begins = sorted({begin, *life.starts[1:]})
    ends = [*begins[1:], _FOREVER]
    return [
        Hold(life, started, min(_first_end(life, started), limit), first=index == 0)
        for index, (started, limit) in enumerate(zip(begins, ends, strict=True))
    ]


def _end_of(life: Life, begins: Iterable[int]) -> int:
    """Return the end of the last run."""
    return _first_end(life, max(begins))


def _first_end(life: Life, begin: int) -> int:
    """Return the earliest sign of an end after ``begin``: FinishedAt, a die event, a look."""
    finished = [e["finished"] for e in life.details if e.get("finished")]
    # FinishedAt of a short run can lie half a millisecond before its StartedAt.
    close = [moment for moment in finished if begin - 1_000_000 <= moment]
    died = [moment for moment in life.dies if moment >= begin]
    idle = [sent for sent, state in life.states if sent > begin and state == "exited"]
    gone = [life.gone] if life.gone is not None else []
    return min([*close, *died, *idle, *gone], default=_FOREVER)
