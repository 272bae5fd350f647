"""The mark of a job: a labelled container, created and never started, that records its cancel."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from api.v1.labels import CANCELS, GRACE, NAME, NAMESPACE, PURGE, REQUESTED, WHY
from api.v1.times import format_time, parse_time

LONGEST_WHY: Final = 256
"""Characters."""

_PREFIX: Final = "djd-cancel-"
_PURGE_PREFIX: Final = "djd-purge-"
_GRACE: Final = re.compile("[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Mark:
    """The cancel of the job ``job``, a full uid; ``uid`` is that of the mark's own container.

    ``at`` is when it was asked for, in nanoseconds of the engine's clock. ``grace``: seconds
    between the stop signal and the kill, ``None`` for what the job's container says. ``purge``: the
    job is to be collected as soon as it is over.
    """

    uid: str
    job: str
    at: int
    grace: int | None = None
    purge: bool = False
    why: str = ""


def name_mark(job: str) -> str:
    """Return the name of the mark of the job with the uid ``job``: the engine lets it be one."""
    return _PREFIX + job


def name_purge(job: str) -> str:
    """Return the name of the mark that has a job purged whose cancel did not say so."""
    return _PURGE_PREFIX + job


def merge_marks(marks: Iterable[Mark]) -> Mark | None:
    """Return what several marks of one job say together; ``None`` without any.

    The first cancel counts, and a purge whenever it is asked for.
    """
    ordered = sorted(marks, key=lambda mark: (mark.at, mark.uid))
    if not ordered:
        return None
    return replace(ordered[0], purge=any(mark.purge for mark in ordered))


def is_mark(
    labels: Mapping[str, str],
    *,
    namespace: str,
    image_labels: Mapping[str, str] | None = None,
) -> bool:
    """Tell whether a container that carries ``labels`` is a mark of ``namespace``.

    As with a job, what its image hands on does not count (see ``labels.is_job``): else a container
    of an image that was committed from a mark would cancel a job once more.
    """
    job = labels.get(CANCELS)
    if labels.get(NAMESPACE) != namespace or not job or labels.get(NAME):
        return False
    return not image_labels or image_labels.get(CANCELS) != job


def encode_mark(mark: Mark, *, namespace: str) -> dict[str, str]:
    """Return the labels of ``mark``: none that a filter for jobs alone could name."""
    return {
        NAMESPACE: namespace,
        CANCELS: mark.job,
        REQUESTED: format_time(mark.at) or "",
        GRACE: "" if mark.grace is None else str(mark.grace),
        PURGE: "true" if mark.purge else "",
        WHY: mark.why,
    }


def decode_mark(uid: str, labels: Mapping[str, str], created: int) -> Mark:
    """Return what the labels of a mark say; the inverse of :func:`encode_mark`.

    ``created`` stands for the time of one that does not tell its own: a list shows whole seconds.
    """
    at, grace = parse_time(labels.get(REQUESTED)), labels.get(GRACE, "")
    return Mark(
        uid,
        labels.get(CANCELS, ""),
        created if at is None else at,
        int(grace) if _GRACE.fullmatch(grace) else None,
        labels.get(PURGE) == "true",
        labels.get(WHY, "")[:LONGEST_WHY],
    )
