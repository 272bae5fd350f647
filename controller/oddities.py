"""What others do to our jobs: remove one before it ran, or start one by hand."""

import structlog

from api.v1.job import Job, is_loss
from controller.instrumentation import MetricsHooks
from controller.ledger import Ledger

_log = structlog.get_logger(__name__)


def report_oddity(old: Job | None, new: Job | None, ledger: Ledger, hooks: MetricsHooks) -> None:
    """Log and count a change of a pending job that ``ledger`` knows no reason for."""
    if old is None or not old.is_pending:
        return
    if is_loss(old, new):
        hooks.on_lost()
        _log.warning("job lost: it was removed before it ran", job=old.id, id=old.uid)
    elif new is not None and new.started and not ledger.has_tried_to_start(old.uid):
        hooks.on_foreign_start()
        _log.warning("job started by someone else", job=old.id, id=old.uid)
