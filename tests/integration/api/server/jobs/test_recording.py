"""What POST leaves on a real engine."""

import asyncio
import uuid
from pathlib import Path

import pytest

from api.engine.docker.engine import DockerEngine
from api.server.admission.settings import Profile
from api.v1.labels import KEYS, NAME, NAMESPACE, NONCE, PATH
from api.v1.spec import digest_document
from tests.support.api import Api, manifest, serve
from tests.support.filter_configs import config
from tests.support.private_engine import IMAGE, PrivateEngine


async def test_a_posted_document_is_one_labelled_container_that_is_not_started(
    api: Api, private_engine: PrivateEngine, namespace: str, name: str
) -> None:
    document = manifest(name, Labels={"team": "blue"})
    reply = await api.post(document, "/job/a%20b/c/")
    found = private_engine.inspect(name)
    assert (reply.code, reply.body) == (201, {"id": name, "uid": found["Id"]})
    assert reply.headers["location"] == f"/job/{name}"
    assert found["State"]["Status"] == "created"
    assert found["State"]["StartedAt"].startswith("0001")
    labels = found["Config"]["Labels"]
    assert set(labels) == {*KEYS, "team"}
    assert (labels[NAMESPACE], labels[NAME], labels[PATH]) == (namespace, name, "/job/a b/c")
    expected = digest_document("/job/a b/c", document)
    assert labels["docker-job-dispatcher.document"] == expected
    assert private_engine.names(f"label={NAMESPACE}={namespace}") == [name]


async def test_a_limit_that_the_engine_does_not_keep_is_told_with_the_job(
    docker_engine: DockerEngine, namespace: str, name: str
) -> None:
    # of OomKillDisable each engine warns: that there is no such thing, or no limit of memory
    odd = manifest(name, HostConfig={"OomKillDisable": True})
    async with serve(docker_engine, namespace, profile=Profile.PRIVILEGED) as api:
        reply = await api.post(odd)
        again = await api.post(odd)
    assert (reply.code, again.code) == (201, 200)
    (warning,) = reply.body["warnings"]
    assert "oom" in warning.lower()
    assert "warnings" not in again.body


async def test_a_document_posted_again_is_the_job_that_is_there(
    api: Api, private_engine: PrivateEngine, namespace: str, name: str
) -> None:
    first = await api.post(manifest(name))
    again = await api.post(manifest(name))
    other = await api.post(manifest(name, "false"))
    elsewhere = await api.post(manifest(name), "/job/x")
    known = {"id": name, "uid": first.body["uid"], "phase": "Pending", "finished": False}
    assert (again.code, again.body) == (200, {**known, "sameDocument": True})
    assert (other.code, other.body) == (200, {**known, "sameDocument": False})
    assert (elsewhere.code, elsewhere.body["sameDocument"]) == (200, False)
    assert private_engine.names(f"label={NAMESPACE}={namespace}") == [name]


async def test_a_job_of_the_original_is_known_and_not_compared(
    api: Api, private_engine: PrivateEngine, namespace: str, name: str
) -> None:
    label = f"{NAMESPACE}={namespace}"
    created = private_engine.docker("create", "--name", name, "--label", label, IMAGE, "true")
    reply = await api.post(manifest(name))
    uid = created.stdout.strip()
    known = {"id": name, "uid": uid, "phase": "Pending", "finished": False}
    assert (reply.code, reply.body) == (200, {**known, "sameDocument": None})
    assert (await api.get(f"/job/{name}")).body["uid"] == uid


async def test_a_filter_config_takes_one_document_for_a_name_while_its_job_is_kept(
    docker_engine: DockerEngine,
    private_engine: PrivateEngine,
    name: str,
    namespace: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "a.yaml").write_text(config())
    async with serve(docker_engine, namespace, from_file=str(tmp_path)) as api:
        first = await api.post(manifest(name, "sh", "-c", "exit 3"))
        private_engine.docker("start", "--attach", name, check=False)
        again = await api.post(manifest(name, "sh", "-c", "exit 3"))
        other = await api.post(manifest(name))
        private_engine.docker("rm", name)
        anew = await api.post(manifest(name))
    assert again.body == {**first.body, "sameDocument": True, "phase": "Failed", "finished": True}
    assert (other.code, other.body["error"]["reason"]) == (409, "DocumentConflict")
    assert (again.code, anew.code) == (200, 201)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param([], id="foreign"),
        pytest.param([f"{NAMESPACE}=another"], id="original of another namespace"),
        pytest.param([f"{NAMESPACE}=another", f"{NAME}=%"], id="another namespace"),
        pytest.param([f"{NAMESPACE}=*", f"{NAME}=parent"], id="copied labels"),
    ],
)
async def test_a_name_that_no_job_of_ours_holds_is_409_and_left_alone(
    api: Api, private_engine: PrivateEngine, namespace: str, name: str, labels: list[str]
) -> None:
    words = [
        word
        for label in labels
        for word in ("--label", label.replace("%", name).replace("*", namespace))
    ]
    created = private_engine.docker("create", "--name", name, *words, IMAGE, "true")
    reply = await api.post(manifest(name))
    assert (reply.code, reply.body["error"]["reason"]) == (409, "NameTaken")
    assert private_engine.inspect(name)["Id"] == created.stdout.strip()
    assert (await api.get(f"/job/{name}")).code == 404


async def test_a_container_that_has_our_label_from_its_image_is_no_job(
    api: Api, private_engine: PrivateEngine, namespace: str, name: str
) -> None:
    tag = f"labelled:{uuid.uuid4().hex}"
    private_engine.load_image(tag, {NAMESPACE: namespace})
    private_engine.docker("create", "--name", name, tag, "true")
    assert (await api.get(f"/job/{name}")).code == 404
    assert (await api.post(manifest(name))).code == 409
    recorded = await api.post(manifest(f"{name}-2") | {"Image": tag})
    assert recorded.code == 201
    assert (await api.get(f"/job/{name}-2")).code == 200


async def test_parallel_posts_of_one_document_are_one_job(
    api: Api, private_engine: PrivateEngine, namespace: str, name: str
) -> None:
    replies = await asyncio.gather(*(api.post(manifest(name)) for _ in range(8)))
    assert sorted(reply.code for reply in replies) == [200] * 7 + [201]
    assert len({reply.body["uid"] for reply in replies}) == 1
    assert private_engine.names(f"label={NAMESPACE}={namespace}") == [name]


async def test_a_dry_run_shows_what_is_recorded_and_records_nothing(
    api: Api, private_engine: PrivateEngine, namespace: str, name: str
) -> None:
    document = manifest(name, Env=["A=1"], WorkingDir="/tmp", HostConfig={"Memory": 64 << 20})
    rehearsed = await api.post(document, "/job/x?dryRun=true")
    assert private_engine.names(f"label={NAMESPACE}={namespace}") == []
    await api.post(document, "/job/x?dryRun=false")
    found = private_engine.inspect(name)
    assert rehearsed.code == 200
    assert rehearsed.body["id"] == name
    assert rehearsed.body["filter"] == "inline"
    assert set(rehearsed.body["verdict"].values()) == {"passed"}
    shown = rehearsed.body["manifest"]
    assert shown["Name"] == name
    # the nonce is another for every container
    assert shown["Labels"] | {NONCE: ""} == found["Config"]["Labels"] | {NONCE: ""}
    assert shown["HostConfig"]["Memory"] == found["HostConfig"]["Memory"] == 64 << 20
    for key in ("Image", "Cmd", "Env", "WorkingDir"):
        assert shown[key] == found["Config"][key]


async def test_a_dry_run_that_admission_refuses_says_so_with_the_manifest(
    api: Api, private_engine: PrivateEngine, name: str
) -> None:
    document = manifest(name, HostConfig={"Privileged": True})
    real = await api.post(document)
    rehearsed = await api.post(document, "/job?dryRun=true")
    error = rehearsed.body["error"]
    assert rehearsed.code == real.code == 403
    assert error["reason"] == real.body["error"]["reason"] == "Denied"
    assert error["verdict"] == {"schema": "passed", "rules": "passed", "admission": "refused"}
    assert error["manifest"] == document
    assert name not in private_engine.names()


async def test_a_dry_run_tells_schema_from_rules(
    docker_engine: DockerEngine, namespace: str, tmp_path: Path
) -> None:
    config = f"""
apiVersion: docker-job-dispatcher/v1
kind: Filter
metadata: {{name: checked}}
spec:
  path: /job
  schema: {{type: object, required: [size]}}
  filter: '{{Name: "job-x", Image: "{IMAGE}", Cmd: ["true"], StopTimeout: .size}}'
  rules:
    - expression: .StopTimeout < 10
      message: too long
"""
    path = tmp_path / "checked.yaml"
    path.write_text(config)
    async with serve(docker_engine, namespace, from_file=str(path)) as api:
        good = await api.post({"size": 1}, "/job?dryRun=true")
        bad_schema = await api.post({}, "/job?dryRun=true")
        bad_rule = await api.post({"size": 10}, "/job?dryRun=true")
    assert (good.code, good.body["filter"]) == (200, "checked")
    assert bad_schema.body["error"]["verdict"] == {"schema": "refused"}
    assert bad_rule.body["error"]["verdict"] == {"schema": "passed", "rules": "refused"}
