"""What becomes of jobs beside their own end: a cancel, a deadline, what others do to them."""

import structlog

from api.v1.condition import Cause, find_ending, is_loss
from api.v1.job import Job, Status
from controller.instrumentation import CancelOutcome, MetricsHooks
from controller.ledger import Ledger
from controller.plan import ActionKind

_log = structlog.get_logger(__name__)


def report_oddity(
    old: Job | None, new: Job | None, ledger: Ledger, hooks: MetricsHooks, now: int
) -> None:
    """Log and count a change of a job that ``ledger`` knows no reason for; ``now`` in ns."""
    job = old or new
    assert job is not None
    if is_loss(old, new, now):
        hooks.on_lost()
        _log.warning("job lost: it was removed before it ran", job=job.id, id=job.uid)
    elif new is not None and is_foreign_start(old, new, ledger):
        hooks.on_foreign_start()
        word = "started again" if old is not None and old.started else "started"
        _log.warning(f"job {word} by someone else", job=job.id, id=job.uid)


def report_ending(old: Job | None, new: Job | None, ledger: Ledger, hooks: MetricsHooks) -> None:
    """Count the end of a job that a cancel, or its time to run, has brought about."""
    if old is None or new is None:
        return
    if new.rerun > old.rerun or (new.is_finished and new.lost and not old.lost):
        hooks.on_node_loss()
    is_starting = new.uid in ledger.in_flight[ActionKind.START]
    is_called_off = old.mark is None or old.status is Status.STARTING
    if new.is_pending and is_called_off and new.mark is not None and not is_starting:
        hooks.on_cancel(CancelOutcome.NOT_STARTED)
    had_a_slot = old.is_active or old.ended or old.is_pending
    if not (had_a_slot and new.is_finished):
        return
    ending = find_ending(new, new.finished_at or 0)
    if ending is not None and ending.cause is Cause.RUN_FOR:
        hooks.on_deadline(Cause.RUN_FOR)
    if new.mark is not None:
        is_stopped = ending is not None and ending.cause is Cause.CANCEL
        hooks.on_cancel(CancelOutcome.STOPPED if is_stopped else CancelOutcome.ENDED)


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
