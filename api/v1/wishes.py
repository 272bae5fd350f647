"""What a job asks of the controller, and how it stands in labels: queue, priority, deadlines."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from api.v1.labels import (
    KEEP_FOR,
    ON_NODE_LOSS,
    PRIORITY,
    QUEUE,
    RUN_FOR,
    SHARE,
    START_BY,
    WISHES,
)
from api.v1.times import format_duration, parse_duration

DEFAULT_QUEUE: Final = "default"
"""The queue of a job that names none."""

PRIORITIES: Final = range(-1000, 1001)
"""A higher one goes first."""

_READ: Final = (*WISHES, ON_NODE_LOSS)
_WHOLE: Final = re.compile(r"-?[0-9]{1,4}")


class NodeLoss(StrEnum):
    """What becomes of a job whose node is lost while it runs, where there are several nodes."""

    FAIL = "Fail"  # it runs at most once
    RERUN = "Rerun"  # it waits again: at least once


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a job's manifest asks of the controller; durations are in nanoseconds, None for none.

    ``start_by`` counts from its creation, ``run_for`` from the start of each run, ``keep_for`` from
    its end. Of jobs of one ``priority`` in a queue, those of the ``share`` with the fewest active
    go first; "" is a share as any other.
    """

    queue: str = DEFAULT_QUEUE
    priority: int = 0
    share: str = ""
    start_by: int | None = None
    run_for: int | None = None
    keep_for: int | None = None
    on_node_loss: NodeLoss = NodeLoss.FAIL


NO_WISHES: Final = Wishes()
"""Those of a job that asks for nothing, such as each of the original's."""


def encode_wishes(wishes: Wishes) -> dict[str, str]:
    """Return the labels of ``wishes``: durations in seconds, empty where nothing is asked for.

    What becomes of a job if its node is lost is left out unless it is to run again.
    """
    reruns = wishes.on_node_loss is NodeLoss.RERUN
    return {
        QUEUE: "" if wishes.queue == DEFAULT_QUEUE else wishes.queue,
        PRIORITY: str(wishes.priority or ""),
        SHARE: wishes.share,
        START_BY: _spell(wishes.start_by),
        RUN_FOR: _spell(wishes.run_for),
        KEEP_FOR: _spell(wishes.keep_for),
        **({ON_NODE_LOSS: str(NodeLoss.RERUN)} if reruns else {}),
    }


def decode_wishes(labels: Mapping[str, str]) -> Wishes:
    """Return the wishes in ``labels``; one that cannot be read counts as not given."""
    return _decode(tuple([labels.get(key, "") for key in _READ]))


@lru_cache(1000)
def _decode(texts: tuple[str, ...]) -> Wishes:
    """Return the one object for equal labels: a hundred thousand jobs may have the same."""
    queue, priority, share, start_by, run_for, keep_for, on_node_loss = texts
    number = int(priority) if _WHOLE.fullmatch(priority) else 0
    wishes = Wishes(
        sys.intern(queue or DEFAULT_QUEUE),
        number if number in PRIORITIES else 0,
        sys.intern(share),
        parse_duration(start_by),
        parse_duration(run_for),
        parse_duration(keep_for),
        NodeLoss.RERUN if on_node_loss == NodeLoss.RERUN else NodeLoss.FAIL,
    )
    return NO_WISHES if wishes == NO_WISHES else wishes


def _spell(duration: int | None) -> str:
    return "" if duration is None else format_duration(duration)
