"""The lease on a real swarm: compare and swap, and rivals of which one is killed or lets go."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.interface import EngineInfo
from api.engine.lease import Claim
from api.engine.swarm.lease import ConfigStore, name_lease
from controller.lease import RENEWED, TAKEN, Lease
from tests.support.private_engine import PrivateEngine
from tests.support.waiting import until

_PATIENCE = 60.0
SWARM = EngineInfo(id="swarm", version="20.10.24", api_version=(1, 41), cpus=2)


@pytest.fixture
async def stores(
    private_manager: PrivateEngine, namespace: str
) -> AsyncIterator[tuple[ConfigStore, ConfigStore]]:
    """Return the ways of two controllers to one record."""
    pair = tuple(ConfigStore(Endpoint(private_manager.host), namespace) for _ in range(2))
    yield pair[0], pair[1]
    for store in pair:
        await store.close()
    private_manager.docker("config", "rm", name_lease(namespace))


async def wait_for_renewal(store: ConfigStore) -> None:
    """Wait until the holder has changed its record."""
    before = await store.read()
    async with asyncio.timeout(_PATIENCE):
        while await store.read() == before:
            await asyncio.sleep(0.05)


async def test_who_saw_the_record_last_changes_it_and_nobody_else(
    stores: tuple[ConfigStore, ConfigStore],
) -> None:
    one, two = stores
    assert await one.read() is None
    first = await one.swap(None, "one")
    assert first is not None
    assert first.holder == "one"
    assert await two.swap(None, "two") is None
    seen = await two.read()
    assert seen == first
    second = await one.swap(first, "one")
    assert second is not None
    assert second.version > first.version
    assert await two.swap(first, "two") is None
    third = await two.swap(await two.read(), "two")
    assert third is not None
    assert third == await one.read() == Claim(third.version, "two")
    given_up = await two.swap(third, "")
    assert given_up is not None
    assert given_up.holder == ""


async def test_of_rivals_at_one_moment_one_wins(
    stores: tuple[ConfigStore, ConfigStore],
) -> None:
    claim: Claim | None = None
    for _ in range(5):
        seen = await asyncio.gather(*(store.read() for store in stores))
        assert seen == [claim, claim]
        swaps = (store.swap(claim, name) for store, name in zip(stores, "ab", strict=True))
        found = [won for won in await asyncio.gather(*swaps) if won is not None]
        assert len(found) == 1
        claim = found[0]


@pytest.mark.slow
async def test_a_lease_passes_on_after_a_death_and_after_an_end(
    stores: tuple[ConfigStore, ConfigStore],
) -> None:
    loop = asyncio.get_running_loop()
    leases = [Lease(store, name) for store, name in zip(stores, ("one", "two"), strict=True)]
    tasks = [asyncio.create_task(lease.keep()) for lease in leases]
    try:
        await until(lambda: leases[0].acquire(SWARM))
        assert not leases[1].acquire(SWARM)
        await wait_for_renewal(stores[1])
        assert leases[0].may_act()
        died = loop.time()
        tasks[0].cancel()
        await until(lambda: not leases[0].may_act(), _PATIENCE)
        assert not leases[1].may_act()
        await until(leases[1].may_act, _PATIENCE)
        assert loop.time() - died >= TAKEN - RENEWED
        tasks[0] = asyncio.create_task(leases[0].keep())
        await leases[1].give_up()
        await until(leases[0].may_act, _PATIENCE)
    finally:
        for task in tasks:
            task.cancel()
