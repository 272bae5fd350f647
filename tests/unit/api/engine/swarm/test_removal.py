"""Removals on a swarm: of what is over or called off, and never of what waits to run anew."""

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.errors import ConflictError
from api.engine.swarm.calls import Calls
from api.engine.swarm.engine import SwarmEngine
from api.engine.swarm.labels import CANCEL_MARK, LOSS, Loss, encode_loss, encode_mark
from api.v1.mark import Mark
from api.v1.spec import JobSpec
from api.v1.wishes import NodeLoss, Wishes
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.engine.swarm.managers import Manager, answer_reads
from tests.unit.api.engine.swarm.scenes import (
    NAMESPACE,
    TASK,
    UID,
    make_service_data,
    make_task_data,
)

RERUN = JobSpec(wishes=Wishes(on_node_loss=NodeLoss.RERUN))
NOTED = {LOSS: encode_loss(Loss(1, TASK, "node node-2 was lost"))}


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    """Return a manager in memory that all calls of an engine go to."""
    manager = Manager()

    async def delete(_: Calls, uid: str) -> None:
        del manager.services[uid]

    answer_reads(monkeypatch, manager)
    monkeypatch.setattr(Calls, "delete", delete)
    return manager


def remove(uid: str) -> None:
    @on_virtual_time
    async def run() -> None:
        engine = SwarmEngine(Endpoint("unix:///nowhere"), NAMESPACE)
        try:
            await engine.remove(uid)
        finally:
            await engine.close()

    run()


def test_what_waits_to_run_anew_is_kept_though_its_lost_run_has_ended(manager: Manager) -> None:
    """Whoever has seen that end alone would collect it without another look."""
    ended = make_task_data("failed", desired="shutdown", code=255)
    manager.add(make_service_data(spec=RERUN, labels=NOTED), ended)
    with pytest.raises(ConflictError):
        remove(UID)
    assert UID in manager.services


def test_what_is_over_or_called_off_is_removed(manager: Manager) -> None:
    cancelled = NOTED | {CANCEL_MARK: encode_mark(Mark("", UID, 7))}
    for service in (
        make_service_data(),
        make_service_data(replicas=0, start=0),
        make_service_data(spec=RERUN, labels=cancelled),
    ):
        manager.add(service, make_task_data("failed", desired="shutdown", code=255))
        remove(UID)
        assert UID not in manager.services
