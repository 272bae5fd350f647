"""What the reconciler reports while it works, for metrics to be fed from."""

from typing import Protocol

from controller.executor import Result


class Observer(Protocol):
    """Receives what happens; every method must return at once. Times are in seconds."""

    def on_pass(self) -> None:
        """Note that a plan was made and sent out."""

    def on_start(self, result: Result, seconds: float) -> None:
        """Note what came of a start, and how long it took with the looks around it."""

    def on_removal(self, result: Result, seconds: float) -> None:
        """Note what came of a removal, and how long it took."""

    def on_handover(self, seconds: float) -> None:
        """Note the time from hearing that a job ended to sending the start that took its slot."""

    def on_lost(self) -> None:
        """Note that someone else removed a job that had not run."""

    def on_foreign_start(self) -> None:
        """Note a first start that this process did not order."""


class Silent:
    """An observer that listens to nothing."""

    def on_pass(self) -> None:
        """Do nothing."""

    def on_start(self, result: Result, seconds: float) -> None:
        """Do nothing."""

    def on_removal(self, result: Result, seconds: float) -> None:
        """Do nothing."""

    def on_handover(self, seconds: float) -> None:
        """Do nothing."""

    def on_lost(self) -> None:
        """Do nothing."""

    def on_foreign_start(self) -> None:
        """Do nothing."""
