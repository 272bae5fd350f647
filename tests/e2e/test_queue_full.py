"""No more jobs wait than may, for all and for one token, on a real engine and across a restart."""

from pathlib import Path

from api.v1.labels import OWNER
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess, Reply
from tests.support.waiting import wait_until

FILTER = f'{{Name: .name, Image: "{IMAGE}", Cmd: ["true"]}}'
FULL = (429, "QueueFull")
FIRST, SECOND, READER = ("first-" + "x" * 20, "second-" + "x" * 20, "reader-" + "x" * 20)


def post(api: ApiProcess, name: str, token: str = "", path: str = "/job") -> Reply:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return api.post({"name": name}, path, **headers)


def give_tokens(folder: Path, *posters: str) -> tuple[str, str]:
    """Return the option for tokens that may post, and one that may read alone."""
    file = folder / "tokens"
    file.write_text("\n".join([*posters, f"{READER} read", ""]))
    file.chmod(0o600)
    return "--token-file", str(file)


def tell(reply: Reply) -> tuple[int, str]:
    assert int(reply.headers["retry-after"]) > 0
    return reply.code, reply.body["error"]["reason"]


def test_beyond_the_limit_a_new_job_is_refused_and_a_known_one_is_not(
    private_engine: PrivateEngine, namespace: str
) -> None:
    names = [f"{namespace}-{number}" for number in range(4)]
    with ApiProcess(private_engine.host, namespace, FILTER, "--max-pending", "3") as api:
        assert [post(api, name).code for name in names[:3]] == [201] * 3
        assert tell(post(api, names[3])) == FULL
        dry = post(api, names[3], path="/job?dryRun=true")
        assert tell(dry) == FULL
        assert dry.body["error"]["verdict"]["admission"] == "passed"
        assert post(api, names[0], path="/job?dryRun=true").code == 200
        assert post(api, names[0]).code == 200
        assert "dispatcher_queue_full_total 1.0" in api.get("/metrics").body
        assert set(private_engine.names(f"name={namespace}")) == set(names[:3])

        # another process knows them from the engine
        api.terminate()
        api.start()
        wait_until(lambda: tell_code(api, names[3]) == 429, "jobs of before the restart")
        assert post(api, names[0]).code == 200

        # and there is room when one has started
        with ControllerProcess(private_engine.host, namespace):
            wait_until(lambda: post(api, names[3]).code in {200, 201}, "room for another job")


def tell_code(api: ApiProcess, name: str) -> int:
    return post(api, name, path="/job?dryRun=true").code


def test_of_several_tokens_each_has_half_and_no_manifest_changes_whose_a_job_is(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    options = (*give_tokens(tmp_path, FIRST, SECOND), "--max-pending", "4")
    labelled = f'{{Name: .name, Image: "{IMAGE}", Cmd: ["true"], Labels: (.labels // {{}})}}'
    with ApiProcess(private_engine.host, namespace, labelled, *options) as api:
        forged = {"name": f"{namespace}-forged", "labels": {OWNER: "0123456789abcdef"}}
        bearer = {"Authorization": f"Bearer {FIRST}"}
        reply = api.post(forged, **bearer)
        assert (reply.code, reply.body["error"]["reason"]) == (400, "ReservedLabel")
        names = [f"{namespace}-{number}" for number in range(6)]
        assert [post(api, name, FIRST).code for name in names[:2]] == [201] * 2
        assert tell(post(api, names[2], FIRST)) == FULL
        assert [post(api, name, SECOND).code for name in names[3:5]] == [201] * 2
        assert tell(post(api, names[5], SECOND)) == FULL
        owners = [private_engine.inspect(n)["Config"]["Labels"][OWNER] for n in names[:2]]
        assert owners[0] == owners[1] != ""
        assert owners[0] != private_engine.inspect(names[3])["Config"]["Labels"][OWNER]
        assert FIRST not in owners


def test_the_only_token_that_may_post_has_all(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    options = (*give_tokens(tmp_path, FIRST), "--max-pending", "2")
    with ApiProcess(private_engine.host, namespace, FILTER, *options) as api:
        codes = [post(api, f"{namespace}-{number}", FIRST).code for number in range(3)]
        assert codes == [201, 201, 429]
