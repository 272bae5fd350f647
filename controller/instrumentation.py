"""The hooks by which the reconciler reports what it does, for metrics to be fed from."""

from enum import StrEnum

from api.v1.condition import Cause
from controller.outcome import Result
from controller.plan import ActionKind


class CancelOutcome(StrEnum):
    """What a cancel came to."""

    NOT_STARTED = "not_started"
    STOPPED = "stopped"
    ENDED = "ended"  # by itself, before


class MetricsHooks:
    """Does nothing; a subclass overrides what it counts. No method may block. Times in seconds."""

    def on_pass(self) -> None:
        """Note that a plan was made and its actions were sent."""

    def on_action(self, kind: ActionKind, result: Result, seconds: float) -> None:
        """Note the result of an action and how long it took, with the inspects around it."""

    def on_handover(self, seconds: float) -> None:
        """Note the time from hearing that a job ended to sending the start that took its slot."""

    def on_rejection(self) -> None:
        """Note that a start that the engine had accepted was carried out by no node."""

    def on_node_loss(self) -> None:
        """Note that the node of a job was lost while it ran."""

    def on_lost(self) -> None:
        """Note that someone else removed a job that had not run."""

    def on_foreign_start(self) -> None:
        """Note a start of a job that this process did not order."""

    def on_cancel(self, outcome: CancelOutcome) -> None:
        """Note what a cancel came to."""

    def on_deadline(self, cause: Cause) -> None:
        """Note that a job's time to start, or to run, was up."""
