"""Faults 11 to 17, 40 and 41 of the catalogue: names taken, creates cut off, disks full."""

import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest

from api.v1.labels import KEYS, NAMESPACE
from tests.chaos.stage import CREATE, Stage
from tests.support.engine_versions import Differs
from tests.support.private_engine import IMAGE, PrivateEngine, make_rootfs
from tests.support.processes import Reply
from tests.support.waiting import wait_until


def count_containers(stage: Stage) -> int:
    return len(stage.raw.list_labelled(f"{NAMESPACE}={stage.namespace}"))


def reason_of(reply: Reply) -> str:
    return str(reply.body["error"]["reason"])


def test_fault_11_parallel_posts_of_one_job_are_one_container(stage: Stage) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: stage.try_post("f11-job"), range(8)))
    assert sorted(reply.code for reply in replies) == [200] * 7 + [201]
    assert len({reply.body["uid"] for reply in replies}) == 1
    assert count_containers(stage) == 1


def make_image_with_full_volume(stage: Stage, tag: str, files: int = 10_000) -> None:
    """Make an image from which the engine copies many files into a volume as it creates."""
    buffer = BytesIO(make_rootfs())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        for number in range(files):
            tar.addfile(tarfile.TarInfo(f"data/{number}"))
    stage.engine.docker("import", "--change", "VOLUME /data", "-", tag, stdin=buffer.getvalue())


@pytest.mark.thorough
def test_fault_12_a_job_that_is_listed_before_it_is_made_is_not_taken_for_lost(
    stage: Stage, differs: Differs
) -> None:
    """While some engines fill a volume they list the container; all other calls answer 404."""
    make_image_with_full_volume(stage, "full-volume:job")
    with ThreadPoolExecutor(1) as pool, stage.control(upkeep=0.1) as controller:
        wait_until(lambda: controller.events("active"), "the controller active")
        made = pool.submit(stage.record, "f12-listed", Image="full-volume:job")
        is_listed_late = differs(26, "a container is listed only once it is made")
        if not is_listed_late:
            wait_until(
                lambda: any(e["result"] == "gone" for e in controller.events("start not done")),
                "a start that came too early",
            )
        stage.wait_for("exited", made.result(120))
        assert not (is_listed_late and controller.events("start not done"))
        assert "dispatcher_jobs_lost_total 0.0" in str(controller.get("/metrics").body)


def test_fault_12_a_name_held_by_a_create_that_hangs_is_busy_and_then_free(stage: Stage) -> None:
    # The engine looks for the plugin some 15 s and holds the name meanwhile.
    options = {"DriverConfig": {"Name": "no-such-plugin"}}
    mount = {"Type": "volume", "Source": "v", "Target": "/v", "VolumeOptions": options}
    body = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Mounts": [mount]}}

    def hang() -> int:
        return stage.raw.call("POST", "containers/create", body, name="f12-job", timeout=60)[0]

    with ThreadPoolExecutor(1) as pool:
        rival: Future[int] = pool.submit(hang)
        wait_until(lambda: stage.raw.call("GET", "containers/f12-job/json")[0] == 404, "nothing")
        replies: list[Reply] = []
        while not rival.done() and len(replies) < 20:
            replies.append(stage.try_post("f12-job"))
        assert rival.result() >= 400
    busy = [reply for reply in replies if reply.code >= 300]
    assert {(reply.code, reason_of(reply)) for reply in busy} <= {(502, "NameBusy")}
    assert all("retry-after" in reply.headers for reply in busy)
    assert stage.try_post("f12-job").code in {200, 201}
    assert count_containers(stage) == 1


@pytest.mark.parametrize("labels", [{}, {NAMESPACE: "another"}], ids=["foreign", "other namespace"])
def test_fault_13_a_name_held_by_no_job_of_ours_is_refused(
    stage: Stage, labels: dict[str, str]
) -> None:
    holder = stage.make("f13-held", {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
    try:
        reply = stage.try_post("f13-held")
        assert (reply.code, reason_of(reply)) == (409, "NameTaken")
    finally:
        stage.engine.docker("rm", holder)


def test_fault_13_another_document_under_a_jobs_name_is_a_conflict(stage: Stage) -> None:
    stage.post("f13-job", "true")
    again, other = stage.try_post("f13-job", "true"), stage.try_post("f13-job", "false")
    assert (again.code, again.body["sameDocument"]) == (200, True)
    assert (other.code, reason_of(other)) == (409, "DocumentConflict")


@pytest.mark.thorough
def test_fault_14_a_kill_after_the_create_was_sent_leaves_one_container(stage: Stage) -> None:
    stage.proxy.delay(CREATE, 0.5, times=1)
    seen = stage.proxy.count(CREATE)
    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(stage.try_post, "f14-job")
        wait_until(lambda: stage.proxy.count(CREATE) > seen, "the create call")
        stage.api.kill()
        assert isinstance(posting.exception(), OSError)
    stage.api.start()
    reply = stage.try_post("f14-job")
    assert reply.code in {200, 201}
    assert count_containers(stage) == 1
    assert stage.status("f14-job") == "created"


def test_fault_14_a_create_whose_reply_is_lost_is_found_and_not_repeated(stage: Stage) -> None:
    for number, spoil in enumerate((stage.proxy.cut, stage.proxy.lose_reply)):
        spoil(CREATE, times=1)
        seen = stage.proxy.count(CREATE)
        reply = stage.try_post(f"f14-lost-{number}")
        assert reply.code == 201, reply
        assert stage.proxy.count(CREATE) == seen + 1
    assert count_containers(stage) == 2


def test_fault_15_what_a_killed_api_has_recorded_is_whole_and_the_controller_runs_it(
    stage: Stage,
) -> None:
    stage.proxy.lose_reply(CREATE, times=1)
    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(stage.try_post, "f15-job")
        stage.wait_for("created", "f15-job")
        stage.api.kill()
        with suppress(OSError):
            posting.result()
    facts: dict[str, Any] = stage.raw.inspect("f15-job") or {}
    assert set(KEYS) <= facts["Config"]["Labels"].keys()
    with stage.control():
        stage.wait_for("exited", "f15-job")
    stage.api.start()
    assert stage.api.get("/job/f15-job").body["phase"] == "Succeeded"
    assert stage.count_runs("f15-job") == 1


@pytest.fixture
def small_engine() -> Iterator[PrivateEngine]:
    """An engine whose data folder is a file system of its own, and small."""
    engine = PrivateEngine()
    data = engine.folder / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", data], check=True)
    with engine:
        yield engine


@pytest.mark.engine
def test_fault_16_a_full_disk_is_the_engines_trouble_and_heals(
    small_engine: PrivateEngine,
) -> None:
    filling = small_engine.folder / "data/filling"
    with Stage(small_engine) as stage, stage.control(limit=1, keep=1):
        stage.wait_for("running", stage.post("f16-early", "sleep 3"))
        waiting = [stage.post(f"f16-waiting-{number}") for number in range(2)]
        with suppress(OSError), filling.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        reply = stage.try_post("f16-late")
        assert (reply.code, "retry-after" in reply.headers) == (502, True), reply
        assert stage.status("f16-late") == "gone"
        stage.wait_for("gone", "f16-early")
        assert stage.api.get("/health/live").code == 204
        filling.unlink()
        stage.wait_for("gone", *waiting, patience=60)
        assert stage.try_post("f16-late").code == 201
        stage.wait_for("gone", "f16-late")
        for name in ("f16-waiting-0", "f16-waiting-1", "f16-late"):
            assert stage.count_runs(name) == 1


def test_fault_17_a_missing_image_and_a_wrong_type_are_refused_at_once(stage: Stage) -> None:
    seen = stage.proxy.count(CREATE)
    document = stage.make_document("f17-image")
    missing = stage.api.post({**document, "image": "no-such-image:1"})
    assert (missing.code, reason_of(missing)) == (400, "ImageNotFound")
    assert stage.proxy.count(CREATE) == seen
    wrong = stage.try_post("f17-type", Memory="much")
    assert wrong.code == 400
    assert "Memory" in wrong.body["error"]["message"]
    assert stage.proxy.count(CREATE) == seen
    assert count_containers(stage) == 0


def test_fault_40_a_job_is_found_by_its_exact_name_alone(stage: Stage) -> None:
    stage.post("f40-jobxa")
    assert stage.api.get("/job/f40-job.a").code == 404
    stage.post("f40-job.a")
    assert stage.api.get("/job/f40-job.a").body["id"] == "f40-job.a"


def test_fault_41_a_job_has_its_whole_uid_and_no_prefix_of_it(stage: Stage) -> None:
    uid = stage.post("f41-job")
    assert stage.api.get(f"/job/{uid}").body["id"] == "f41-job"
    for ref in (uid[:12], uid[:4]):
        assert stage.api.get(f"/job/{ref}").code == 404


@pytest.mark.thorough
def test_fault_41_a_container_named_like_anothers_id_hides_nothing(stage: Stage) -> None:
    uid = stage.post("f41-first")
    namesake = stage.post(uid[:12])
    with stage.control(keep=1):
        stage.wait_for("gone", uid, namesake)
    assert stage.count_runs("f41-first") == 1
    assert stage.count_runs(uid[:12]) == 1
    foreign_uid = stage.post("f41-second")
    foreign = stage.make(foreign_uid[:12], {"Image": IMAGE, "Cmd": ["sleep", "100"]})
    try:
        with stage.control(keep=1):
            stage.wait_for("gone", foreign_uid)
        assert stage.status(foreign) == "created"
    finally:
        stage.engine.docker("rm", foreign)
