"""The hooks by which the reconciler reports what it does, for metrics to be fed from."""

from controller.executor import Result
from controller.plan import ActionKind


class MetricsHooks:
    """Does nothing; a subclass overrides what it counts. No method may block. Times in seconds."""

    def on_pass(self) -> None:
        """Note that a plan was made and its actions were sent."""

    def on_action(self, kind: ActionKind, result: Result, seconds: float) -> None:
        """Note the result of an action and how long it took, with the inspects around it."""

    def on_handover(self, seconds: float) -> None:
        """Note the time from hearing that a job ended to sending the start that took its slot."""

    def on_lost(self) -> None:
        """Note that someone else removed a job that had not run."""

    def on_foreign_start(self) -> None:
        """Note a start of a job that this process did not order."""
