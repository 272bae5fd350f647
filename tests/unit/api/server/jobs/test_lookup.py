import pytest

from api.engine.errors import EngineTimeoutError, EngineUnavailableError
from api.informer.store import JobStore
from api.server.jobs.lookup import Jobs, NameTaken
from api.v1.job import Job
from api.v1.labels import NAMESPACE
from api.v1.spec import JobSpec, encode
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.listeners import Nobody
from tests.support.virtual_time import VirtualLoop


class Desk:
    """Jobs on an engine in memory, and a store that is told of them by hand."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.store = JobStore(Nobody(), wants_finish=False)
        self.jobs = Jobs(self.engine, self.store)

    def add(self, name: str, labels: dict[str, str], image: str = IMAGE) -> str:
        return self.engine.add(name, {"Image": image, "Cmd": ["true"], "Labels": labels})

    def add_job(self, name: str, namespace: str = "ns") -> str:
        labels = encode(JobSpec(), namespace=namespace, job_id=name, labels={})
        return self.add(name, labels)

    async def sync(self) -> None:
        """Have the store read everything."""
        self.store.fold_all(await self.engine.list(), self.store.version())
        self.engine.calls.clear()


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_only_jobs_of_the_namespace_are_found(desk: Desk) -> None:
    uid = desk.add_job("ours")
    desk.add("original", {NAMESPACE: "ns"})
    desk.add_job("elsewhere", "other")
    desk.engine.add_image("committed", encode(JobSpec(), namespace="ns", job_id="x", labels={}))
    desk.add("heir", {}, "committed")
    desk.add("foreign", {})
    await desk.sync()
    found = {}
    for name in ("ours", "original", "elsewhere", "heir", "foreign", "absent", uid[:12], uid):
        found[name] = await desk.jobs.find(name)
    assert [name for name, job in found.items() if job is not None] == ["ours", "original", uid]


@pytest.mark.parametrize("name", ["", "a", "../images/x", "a/b", "a\n", "x" * 129, "-a", "a b"])
async def test_a_name_that_cannot_be_one_never_reaches_the_engine(desk: Desk, name: str) -> None:
    assert await desk.jobs.find(name) is None
    assert not desk.engine.calls


@pytest.mark.parametrize("name", ["ours", "unknown", "foreign"])
async def test_a_job_costs_one_inspect_and_no_list_and_so_does_none(desk: Desk, name: str) -> None:
    desk.add_job("ours")
    desk.add("foreign", {})
    await desk.sync()
    await desk.jobs.find(name)
    assert desk.engine.calls == {"inspect": 1}


@pytest.mark.parametrize("is_synced", [True, False])
@pytest.mark.parametrize("successor", [None, "foreign", "job"])
async def test_a_renamed_job_is_found_by_its_id_whoever_has_its_name_now(
    desk: Desk, is_synced: bool, successor: str | None
) -> None:
    uid = desk.add_job("ours")
    desk.engine.rename(uid, "renamed")
    if successor == "foreign":
        desk.add("ours", {})
    elif successor == "job":
        desk.engine.rename(desk.add_job("another"), "ours")
    if is_synced:
        await desk.sync()
    found = await desk.jobs.find("ours")
    assert found is not None
    assert (found.job.uid, found.job.id, found.is_silent) == (uid, "ours", False)
    assert await desk.jobs.find("renamed") is None
    assert (desk.engine.calls["list"] > 0) is not is_synced


@pytest.mark.parametrize(("key", "inspects"), [("id", 2), ("uid", 1)])
async def test_a_job_that_the_store_knows_and_the_engine_does_not_is_gone(
    desk: Desk, key: str, inspects: int
) -> None:
    uid = desk.add_job("ours")
    desk.engine.run(uid)
    await desk.sync()
    desk.engine.destroy(uid)
    assert await desk.jobs.find("ours" if key == "id" else uid) is None
    assert desk.engine.calls == {"inspect": inspects}
    assert uid not in desk.store.known


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_container_that_does_not_answer_is_read_from_a_list(is_renamed: bool) -> None:
    loop, desk = VirtualLoop(), Desk()
    uid = desk.add_job("ours")
    loop.run(desk.sync())
    if is_renamed:
        desk.engine.rename(uid, "renamed")
    desk.engine.hang("inspect", ref=uid if is_renamed else "ours")
    found = loop.run(desk.jobs.find("ours"))
    assert found is not None
    assert (found.job.uid, found.is_silent, found.job.text) == (uid, True, "Created")
    assert loop.time() == pytest.approx(3.0)
    desk.engine.hang("inspect", ref="absent")
    with pytest.raises(EngineTimeoutError):
        loop.run(desk.jobs.find("absent"))
    loop.close()


async def test_an_engine_that_is_away_is_no_answer_about_a_job(desk: Desk) -> None:
    desk.engine.is_down = True
    with pytest.raises(EngineUnavailableError):
        await desk.jobs.find("ours")


async def test_a_name_is_free_ours_or_taken(desk: Desk) -> None:
    uid = desk.add_job("ours")
    desk.add("foreign", {})
    looked = {name: await desk.jobs.find_by_name(name) for name in ("ours", "foreign", "free")}
    assert isinstance(looked["ours"], Job)
    assert looked["ours"].uid == uid
    assert (looked["foreign"], looked["free"]) == (NameTaken(), None)
