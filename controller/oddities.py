"""What others do to our jobs: remove one before it ran, start one, or run one again."""

import structlog

from api.v1.condition import is_loss
from api.v1.job import Job
from controller.instrumentation import MetricsHooks
from controller.ledger import Ledger

_log = structlog.get_logger(__name__)


def report_oddity(old: Job | None, new: Job | None, ledger: Ledger, hooks: MetricsHooks) -> None:
    """Log and count a change of a job that ``ledger`` knows no reason for."""
    job = old or new
    assert job is not None
    if is_loss(old, new):
        hooks.on_lost()
        _log.warning("job lost: it was removed before it ran", job=job.id, id=job.uid)
    elif new is not None and is_foreign_start(old, new, ledger):
        hooks.on_foreign_start()
        word = "started again" if old is not None and old.started else "started"
        _log.warning(f"job {word} by someone else", job=job.id, id=job.uid)


def is_foreign_start(old: Job | None, new: Job, ledger: Ledger) -> bool:
    """Tell whether a change shows a run that this process has not ordered.

    A finished job is never started by us: whoever runs it again is a person, an updater, or the
    engine, which obeys the restart policy even of a job that was stopped, when it starts itself.
    """
    if not new.started or ledger.has_tried_to_start(new.uid):
        return False
    if old is not None and old.is_finished:
        is_other_run = old.detailed and new.detailed and old.started_at != new.started_at
        return new.is_active or is_other_run
    return old is None or old.is_pending
