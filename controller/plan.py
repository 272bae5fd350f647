"""A plan: what is to be done now, why, what waits for what, and its stable text form."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """Start a container; ``attempt`` counts from 1."""

    id: str
    name: str
    attempt: int
    cause: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a container that ended at ``ended`` (nanoseconds of the engine's clock)."""

    id: str
    name: str
    ended: int
    cause: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Leave a job as it is for now."""

    id: str
    name: str
    cause: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do at one moment.

    ``wake_in`` is the number of seconds after which a plan would say something new although
    nothing has changed, ``None`` if never. ``unlisted`` counts jobs that wait beyond those in
    ``waits``.
    """

    starts: tuple[Start, ...] = ()
    removals: tuple[Remove, ...] = ()
    waits: tuple[Wait, ...] = ()
    wake_in: float | None = None
    unlisted: int = 0

    def narrow(self, name: str) -> "Plan":
        """Return what this plan says of one job."""
        return Plan(
            tuple(act for act in self.starts if act.name == name),
            tuple(act for act in self.removals if act.name == name),
            tuple(wait for wait in self.waits if wait.name == name),
        )

    def __str__(self) -> str:
        """Return a line for each act and each wait: verb, job, cause."""
        rows = [
            *(("start", start.name, start.cause) for start in self.starts),
            *(("remove", removal.name, removal.cause) for removal in self.removals),
            *(("wait", wait.name, wait.cause) for wait in self.waits),
        ]
        width = max((len(name) for _, name, _ in rows), default=0)
        lines = [f"{verb:<6} job/{name:<{width}}  {cause}" for verb, name, cause in rows]
        if self.unlisted:
            lines.append(f"and {self.unlisted} more wait")
        return "\n".join(lines)
