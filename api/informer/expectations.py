"""Containers that are left to acts of our own, and what is heard of them meanwhile."""

from typing import Final

from api.engine.interface import Event

_TURNS: Final = frozenset({"start", "restart", "die"})  # after which it runs, or does not
_REPEATED: Final = "repeated"  # stands for an event that may be out of date


class Expectations:
    """By container id: the actions heard since an act's last look, and the one that it causes."""

    def __init__(self) -> None:
        self._heard: dict[str, list[str]] = {}
        self._expected: dict[str, str] = {}

    def begin(self, container_id: str) -> None:
        """Keep what is heard from now on; what was heard before does not count any more."""
        self._heard[container_id] = []

    def keep(self, event: Event, *, is_repeated: bool) -> bool:
        """Tell whether nobody else need act on an event: it is kept, or was expected."""
        heard = self._heard.get(event.id)
        if heard is not None:
            heard.append(_REPEATED if is_repeated else event.action)
            return True
        return self._expected.pop(event.id, None) == event.action

    def end(self, container_id: str, known: str | None) -> list[str]:
        """Return what was heard, the oldest first; ``known`` is expected if it was not."""
        heard = self._heard.pop(container_id, [])
        if known is not None and known not in heard:
            self._expected[container_id] = known
        return heard

    def expect_nothing(self) -> None:
        """Forget what was expected: everything has been read since."""
        self._expected.clear()


def tell_end(heard: list[str]) -> bool:
    """Tell whether it has ended by what was heard last."""
    return [action for action in heard if action in _TURNS][-1:] == ["die"]
