"""The engine that the benchmark serves shows its jobs as a real one would."""

from pathlib import Path

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.interface import EventKind
from api.v1.job import Status
from tests.bench.churn import Jobs
from tests.bench.rig import NAMESPACE
from tests.fakes.engine.served import ServedHost


async def test_jobs_are_listed_in_pages_inspected_and_told_of(tmp_path: Path) -> None:
    host = ServedHost(NAMESPACE)
    jobs = Jobs(host)
    jobs.fill(300)
    socket = tmp_path / "engine.sock"
    engine = DockerEngine(Endpoint(f"unix://{socket}"), NAMESPACE)
    async with host.serve(socket):
        rows = {row.uid: row for row in await engine.list()}
        assert [row.id for row in rows.values()] == [f"job-{n}" for n in reversed(range(300))]
        ended = [row for row in rows.values() if row.status is Status.EXITED]
        assert [row.uid for row in await engine.list(statuses=[Status.EXITED])] == [
            row.uid for row in ended
        ]
        assert (len(ended), ended[0].exit_code) == (150, 0)
        exact = await engine.inspect(ended[0].uid)
        assert exact is not None
        assert (exact.id, exact.status, exact.detailed) == (ended[0].id, Status.EXITED, True)
        assert await engine.list(uids=[ended[0].uid], known={exact.uid: exact}) == [exact]
        assert await engine.list(since=next(iter(rows))) == []
        async with engine.events() as events:
            name = jobs.probe()
            uid = host.get(name).id
            kinds: list[EventKind] = []
            while len(kinds) < 3:
                event = await anext(events)
                kinds += [event.kind] if event.uid == uid else []
        assert kinds == [EventKind.CREATED, EventKind.STARTED, EventKind.ENDED]
        await engine.close()
