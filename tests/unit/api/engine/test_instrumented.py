"""An instrumented engine reports every call, and answers as the engine does."""

import pytest

from api.engine.errors import EngineUnavailableError
from api.engine.instrumented import Call, InstrumentedEngine, Outcome
from tests.fakes.engine.engine import MemoryEngine


async def test_a_call_is_reported_once_with_its_outcome_and_its_error_is_passed_on() -> None:
    told: list[tuple[Call, Outcome]] = []
    engine = MemoryEngine()
    watched = InstrumentedEngine(engine, lambda call, outcome, _: told.append((call, outcome)))
    await watched.info()
    engine.is_down = True
    with pytest.raises(EngineUnavailableError):
        await watched.ping()
    with pytest.raises(EngineUnavailableError):
        async with watched.events():
            pass
    engine.is_down = False
    async with watched.events() as events:
        assert aiter(events) is not None
    assert told == [
        (Call.INFO, Outcome.OK),
        (Call.PING, Outcome.UNAVAILABLE),
        (Call.EVENTS, Outcome.UNAVAILABLE),
        (Call.EVENTS, Outcome.OK),
    ]
