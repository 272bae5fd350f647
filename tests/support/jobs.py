"""Jobs as an engine would show them, for tests that need no engine."""

from dataclasses import replace
from typing import Any

from api.v1.job import Job, Status
from api.v1.spec import JobSpec


def make_job(uid: str, status: Status, order: int = 1, **fields: Any) -> Job:
    """Return a job that is called as its uid unless ``id`` is given."""
    job = Job(uid, uid, "ns", JobSpec(), status, created=order, order=order)
    return replace(job, **fields)
