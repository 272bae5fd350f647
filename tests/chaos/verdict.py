"""One run of any kind, from its engine to the verdict on its history."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.arena import Arena, Settings, open_arena
from tests.chaos.checker import Breach
from tests.chaos.story import Story, tell

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The story of a run and its breaches."""

    seed: int
    settings: Settings
    story: Story
    breaches: list[Breach]
    history: Path


def judge(
    execute: Callable[[Arena], None],
    check: Callable[[Story], list[Breach]],
    settings: Settings,
    history: Path,
    say: Say,
    *,
    seed: int,
    **facts: object,
) -> Verdict:
    """Have ``execute`` run on an engine of its own, and ``check`` what the history tells.

    The history is written as it goes on, and begins with the seed and ``facts``.
    """
    say(f"seed {seed}: {settings}")
    with open_arena(settings, history, seed=seed, **facts) as arena:
        execute(arena)
    story = tell(arena.recorder.read())
    return Verdict(seed, settings, story, check(story), history)
