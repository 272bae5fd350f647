"""What images hand on to their containers, each read once a minute however many jobs it has."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from api.engine.interface import Engine
from api.server.admission.inherited import Inherited, measure_image

_KEPT: Final = 60.0
"""Seconds: a tag may be moved, by an operator or by a pull that is not ours."""
_REFRESH: Final = 2.0
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class _Known:
    inherited: Inherited
    until: float


class ImageCache:
    """Reads images of ``engine``; ``clock`` gives seconds."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._generation = 0

    async def look(self, image: str) -> Inherited:
        """Return what ``image`` hands on; raises ``EngineError``."""
        now = self._clock()
        known = self._known.get(image)
        if known is not None and now < known.until:
            return known.inherited
        if known is not None:
            # one asks, the others take what is known meanwhile
            self._known[image] = replace(known, until=now + _REFRESH)
        generation = self._generation
        inherited = measure_image(await self._engine.image_config(image))
        if generation == self._generation:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[image] = _Known(inherited, now + _KEPT)
        return inherited

    def forget(self) -> None:
        """Read every image anew: a pull may have moved any of their names."""
        self._generation += 1
        self._known.clear()
