"""A manager that does not answer is an outage of the swarm, and no silence about one job."""

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.errors import (
    EngineError,
    EngineInterruptedError,
    EngineRefusedError,
    EngineTimeoutError,
    EngineUnavailableError,
    OverloadedError,
)
from api.engine.swarm.engine import SwarmEngine
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.engine.swarm.managers import Manager, answer_reads
from tests.unit.api.engine.swarm.scenes import NAMESPACE, UID


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (EngineTimeoutError("no answer within 10 s"), EngineUnavailableError),
        (EngineInterruptedError("raft: node lost leader status"), EngineUnavailableError),
        (OverloadedError(503, "the swarm does not have a leader"), EngineUnavailableError),
        (EngineUnavailableError("connection refused"), EngineUnavailableError),
        (EngineRefusedError(500, "what it says of this one"), EngineRefusedError),
    ],
)
def test_a_manager_that_answers_no_look_is_away(
    monkeypatch: pytest.MonkeyPatch, failure: EngineError, kind: type[EngineError]
) -> None:
    manager = Manager()
    manager.failure = failure

    @on_virtual_time
    async def look() -> None:
        engine = SwarmEngine(Endpoint("unix:///nowhere"), NAMESPACE)
        try:
            await engine.inspect(UID)
        finally:
            await engine.close()

    answer_reads(monkeypatch, manager)
    with pytest.raises(EngineError) as caught:
        look()
    assert type(caught.value) is kind
