"""Secrets of the operator (JOB_ENV_*) are in jobs, and in no answer to a token that only posts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, Reply

SECRET = "hunter2-of-the-operator"
POSTER, READER, ELSEWHERE = "p" * 16, "r" * 16, "e" * 16
FILTER = (
    'if .fail == "jq" then ($ENV.JOB_ENV_KEY | tonumber)'
    ' elif .fail == "own" then error("no such picture") else . end'
    f' | {{Name: .name, Image: (.image // "{IMAGE}"), Cmd: ["true"],'
    ' Env: ["KEY=\\($ENV.JOB_ENV_KEY)"], HostConfig: {Privileged: .privileged}}'
)
CONFIG = {
    "apiVersion": "docker-job-dispatcher/v1",
    "kind": "Filter",
    "metadata": {"name": "any"},
    "spec": {
        "path": "/job",
        "filter": FILTER,
        "rules": [
            {
                "expression": 'if .Name == "rule" then .Env[0] | tonumber else true end',
                "message": "m",
            }
        ],
    },
}


@pytest.fixture(scope="module")
def api(
    private_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiProcess]:
    folder = tmp_path_factory.mktemp("secrets")
    tokens, config = folder / "tokens", folder / "filter.yaml"
    tokens.write_text(f"{POSTER} post\n{READER}\n{ELSEWHERE} read /other\n")
    tokens.chmod(0o600)
    config.write_text(json.dumps(CONFIG))
    options = ("--token-file", str(tokens), "--from-file", str(config))
    env = {"JOB_ENV_KEY": SECRET}
    with ApiProcess(private_engine.host, "secrets", *options, env=env) as process:
        yield process


def post(api: ApiProcess, token: str, document: dict[str, Any], *, dry: bool = True) -> Reply:
    path = "/job?dryRun=true" if dry else "/job"
    return api.post(document, path, Authorization=f"Bearer {token}")


def test_a_dry_run_shows_its_manifest_to_who_may_read_alone(
    api: ApiProcess, namespace: str
) -> None:
    document = {"name": namespace}
    shown = post(api, POSTER, document)
    assert (shown.code, shown.body["id"]) == (200, namespace)
    assert "manifest" not in shown.body
    assert SECRET not in json.dumps(shown.body)
    assert post(api, READER, document).body["manifest"]["Env"] == [f"KEY={SECRET}"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"name": "job", "privileged": True}, "Denied"),
        ({"name": "-x"}, "InvalidName"),
        ({"name": "job", "image": 1}, "InvalidManifest"),
        ({"name": "rule"}, "RuleViolation"),
        ({"fail": "jq"}, "FilterFailed"),
        ({"fail": "own"}, "FilterFailed"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize("token", [POSTER, READER])
def test_no_refusal_shows_a_secret(
    api: ApiProcess, document: dict[str, Any], reason: str, dry: bool, token: str
) -> None:
    reply = post(api, token, document, dry=dry)
    error = reply.body["error"]
    assert error["reason"] == reason, reply
    assert SECRET not in json.dumps(reply.body)
    assert SECRET not in api.log()
    if reason in {"Denied", "InvalidName", "InvalidManifest"} and dry:
        assert ("manifest" in error) is (token == READER)
        assert token != READER or error["manifest"]["Env"] == ["KEY=***"]
    if document.get("fail") == "own":
        assert "no such picture" in error["message"]
