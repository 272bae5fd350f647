"""Exit statuses, delays, settings and how the docker CLI calls: functions over data."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.client.errors import ClientError, RefusedError
from api.client.plugin import Invocation, describe, read_invocation
from api.client.retry import Attempts, choose_delay, read_retry_after
from api.client.settings import Settings, read_settings
from api.client.status import PHASES, choose_status
from api.v1.job import Phase


def job(phase: str, code: int | None) -> dict[str, Any]:
    return {"phase": phase, "exitCode": code}


@pytest.mark.parametrize(
    ("jobs", "status"),
    [
        ([job("Succeeded", 0)], 0),
        ([job("Failed", 3)], 3),
        ([job("Failed", 137)], 137),
        ([job("Cancelled", 143)], 143),
        # stopped, or its time was up, and it made the best of it: not what was wanted all the same
        ([job("Cancelled", 0)], 1),
        ([job("Failed", 0)], 1),
        ([job("Failed", None)], 1),
        ([job("Failed", 4096)], 1),
        ([job("Succeeded", 0), job("Succeeded", 0)], 0),
        ([job("Succeeded", 0), job("Failed", 3)], 1),
    ],
)
def test_the_status_is_that_of_one_job_or_whether_all_succeeded(
    jobs: list[dict[str, Any]], status: int
) -> None:
    assert choose_status(jobs) == status


def test_the_phases_are_those_of_the_contract() -> None:
    assert tuple(map(str, Phase)) == PHASES


@pytest.mark.parametrize(
    ("failed", "at", "asked", "delay"),
    [
        (0, 0.0, None, 0.1),
        (3, 1.0, None, 0.8),
        (20, 1.0, None, 5.0),
        (0, 0.0, 7.0, 7.0),
        (0, 0.0, 0.0, 0.1),
        (0, 0.0, 3600.0, 30.0),
        (9, 58.0, 30.0, 2.0),
        (9, 60.0, 1.0, None),
    ],
)
def test_a_server_is_believed_within_bounds(
    failed: int, at: float, asked: float | None, delay: float | None
) -> None:
    assert choose_delay(Attempts(failed, 0.0), at, 60.0, asked) == delay


def test_a_retry_after_is_a_number_or_is_left_out() -> None:
    texts = ("5", None, "soon", "Thu, 01 Jan 2026 12:00:00 GMT", "²")
    assert [*map(read_retry_after, texts)] == [5.0, None, None, None, None]


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    assert read_settings({}) == Settings()
    found = read_settings({"DJD_URL": "https://djd.test/a/", "DJD_TOKEN_FILE": str(file)})
    assert (found.url, found.token) == ("https://djd.test/a", "secret")
    assert "secret" not in repr(found)
    for pasted in ("http://djd.test/a/ui", "http://djd.test/a/ui/", "http://djd.test/a//"):
        assert read_settings({"DJD_URL": pasted}).url == "http://djd.test/a"
    for pasted in ("http://ui", "http://ui/", "http://ui/ui", "http://ui:80/ui/#/jobs?a=b"):
        found = read_settings({"DJD_URL": pasted})
        assert found.url.replace(":80", "") == "http://ui"
    both = read_settings({"DJD_TOKEN": "other", "DJD_TOKEN_FILE": str(file)})
    assert both.token == "other"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"DJD_URL": "localhost:8000"}, "DJD_URL"),
        ({"DJD_URL": "ftp://a"}, "DJD_URL"),
        ({"DJD_URL": "http://a:0"}, "DJD_URL"),
        ({"DJD_URL": "http://a:x"}, "DJD_URL"),
        ({"DJD_URL": "http://me:pass@a"}, "DJD_URL"),
        ({"DJD_TOKEN_FILE": "/nowhere"}, "DJD_TOKEN_FILE /nowhere: No such file"),
        ({"DJD_TOKEN_FILE": "/dev/null"}, "is empty"),
        ({"DJD_TOKEN": "two words"}, "one word"),
        ({"DJD_TOKEN": "a\r\nX: b"}, "one word"),
        ({"DJD_CA": "/nowhere"}, "DJD_CA"),
        ({"DJD_PATIENCE": "soon"}, "DJD_PATIENCE"),
    ],
)
def test_what_cannot_be_meant_is_said_without_the_token(environ: dict[str, str], told: str) -> None:
    with pytest.raises(ClientError, match=told) as caught:
        read_settings(environ)
    assert environ.get("DJD_TOKEN", "no token") not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "program", "own"),
    [
        ("ls -a", "docker-job", "ls -a"),
        ("job ls -a", "docker job", "ls -a"),
        ("-D --context far -H tcp://a:1 --config=/x job logs -f a", "docker job", "logs -f a"),
        ("cancel job", "docker-job", "cancel job"),
        ("--help", "docker-job", "--help"),
        ("", "docker-job", ""),
        ("-D", "docker-job", "-D"),
    ],
)
def test_the_docker_cli_hands_on_its_own_options_and_the_name(
    arguments: str, program: str, own: str
) -> None:
    words = read_invocation(arguments.split())
    assert words == Invocation(program, tuple(own.split()))


def test_the_docker_cli_asks_what_can_follow() -> None:
    found = read_invocation(["__complete", "job", "logs", ""])
    assert found == Invocation("docker job", ("logs", ""), completes=True)
    assert json.loads(describe("1.2"))["SchemaVersion"] == "0.1.0"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (None, "the server answers 502, not as a docker-job-dispatcher does: check DJD_URL"),
        (
            {"error": "gone"},
            "the server answers 502, not as a docker-job-dispatcher does: check DJD_URL",
        ),
        ({"error": {"reason": "X", "message": "m"}}, "m (X)"),
        (
            {
                "error": {
                    "reason": "X",
                    "message": "m",
                    "violations": [{"pointer": "/a", "message": "b"}, {"message": "c"}, 3],
                }
            },
            "m (X)\n  /a: b\n  c",
        ),
    ],
)
def test_an_error_is_told_with_all_that_is_wrong(body: Any, text: str) -> None:
    assert str(RefusedError(502, body)) == text
