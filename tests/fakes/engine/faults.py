"""Failures that a test prescribes to the in-memory engine."""

import asyncio
from dataclasses import dataclass

from api.engine.errors import EngineError, EngineTimeoutError


@dataclass(slots=True)
class Fault:
    """One scripted failure of ``call`` (``"start"``, ``"list"``, ...; ``"*"`` is every call).

    It strikes ``times`` times (``None``: until healed), for ``ref`` alone if that is given.
    Without ``error`` the call hangs until healed, then goes on, or until its deadline.
    ``takes_effect`` says that the call is carried out all the same, ``after`` seconds later.
    """

    call: str
    error: EngineError | None = None
    ref: str | None = None
    times: int | None = 1
    takes_effect: bool = False
    after: float = 0.0


class Faults:
    """The faults that are set; ``timeout`` is the deadline in seconds of a call that hangs."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._set: list[Fault] = []
        self._healed = asyncio.Event()

    def add(self, fault: Fault) -> None:
        """Set one fault."""
        self._set.append(fault)

    def heal(self) -> None:
        """Take all faults away and let calls that hang go on."""
        self._set.clear()
        self._healed.set()
        self._healed = asyncio.Event()

    def take(self, call: str, ref: str | None) -> Fault | None:
        """Return the fault that strikes this call, counted off."""
        for fault in self._set:
            if fault.call in {call, "*"} and fault.ref in {None, ref}:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._set.remove(fault)
                return fault
        return None

    async def hang(self) -> None:
        """Wait until healed. Raises ``EngineTimeoutError`` at the call's deadline."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._healed.wait()
        except TimeoutError as error:
            raise EngineTimeoutError("no answer within the deadline") from error
