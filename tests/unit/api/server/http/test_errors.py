import json

import pytest
from aiohttp import web

from api.engine.errors import (
    ConflictError,
    EngineError,
    EngineInterruptedError,
    EngineRefusedError,
    EngineTimeoutError,
    EngineUnavailableError,
    NotFoundError,
    OverloadedError,
)
from api.server.http.errors import answer_problem, explain_outage, explain_refusal
from api.server.http.problem import Problem
from api.server.middleware import choose_request_id, explain

FOUND = "image with reference a:1 was found but"
SECRET = "mkdir /var/lib/engine/secret: no space left on device"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotFoundError(404, "No such image: nope:1"), "ImageNotFound"),
        (NotFoundError(404, "no such image: nope:1: image not known"), "ImageNotFound"),
        (
            NotFoundError(
                404,
                f"{FOUND} does not match the specified platform: wanted linux/arm64,"
                " actual: linux/amd64",
            ),
            "PlatformMismatch",
        ),
        (
            NotFoundError(
                404,
                f"{FOUND} its platform (linux/amd64) does not match the specified"
                " platform (linux/arm64)",
            ),
            "PlatformMismatch",
        ),
        (
            NotFoundError(404, f"{FOUND} does not provide the specified platform (linux/arm64)"),
            "PlatformMismatch",
        ),
        (NotFoundError(404, "No such container: image-server"), "EngineRefused"),
        (NotFoundError(404, 'plugin "image" not found'), "EngineRefused"),
        (NotFoundError(404, "network images not found"), "EngineRefused"),
        (EngineRefusedError(400, "Minimum memory limit allowed is 6MB"), "EngineRefused"),
        (EngineRefusedError(500, "json: cannot unmarshal number"), "EngineRefused"),
        (EngineRefusedError(500, "invalid volume specification: 'x:'"), "EngineRefused"),
        (EngineRefusedError(500, 'Invalid isolation: "hyperv"'), "EngineRefused"),
        (EngineRefusedError(500, "--storage-opt is supported only for xfs"), "EngineRefused"),
    ],
)
def test_a_manifest_that_the_engine_refuses_is_400_with_its_text(
    error: EngineRefusedError, reason: str
) -> None:
    problem = explain_refusal(error)
    assert (problem.code, problem.reason, problem.message) == (400, reason, error.message)


LINKS = "evalSymlinksInScope: too many links in /secret/w/w"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EngineRefusedError(500, SECRET), "EngineFailed"),
        (OverloadedError(503, SECRET), "EngineUnavailable"),
        (EngineUnavailableError(SECRET), "EngineUnavailable"),
        (EngineTimeoutError(SECRET), "EngineUnavailable"),
        (EngineInterruptedError(SECRET), "EngineUnavailable"),
    ],
)
def test_an_engine_in_trouble_is_502_with_a_fixed_text_and_a_time_to_retry(
    error: EngineError, reason: str
) -> None:
    for problem in (explain_refusal(error), explain_outage(error), explain(error)):
        assert (problem.code, problem.reason) == (502, reason)
        assert int(problem.headers["Retry-After"]) > 0
        assert SECRET not in problem.message
    assert explain(error).__cause__ is error


@pytest.mark.parametrize("fault", ["lstat /secret/x: file name too long", LINKS])
def test_a_path_that_no_engine_makes_is_400_without_the_engines_own(fault: str) -> None:
    problem = explain_refusal(EngineRefusedError(500, fault))
    assert (problem.code, problem.reason) == (400, "EngineRefused")
    assert "secret" not in problem.message


def test_a_conflict_that_is_no_name_is_the_engines_failure_where_nothing_was_asked_for() -> None:
    assert explain_outage(ConflictError(409, "x")).reason == "EngineFailed"


def test_an_error_nobody_foresaw_is_500_without_its_text() -> None:
    problem = explain(KeyError(SECRET))
    assert (problem.code, problem.reason) == (500, "InternalError")
    assert SECRET not in problem.message


def test_the_routers_refusals_have_reasons_and_keep_allow() -> None:
    problem = explain(web.HTTPMethodNotAllowed("PUT", ["POST", "GET"]))
    assert (problem.code, problem.reason) == (405, "MethodNotAllowed")
    assert set(problem.headers["Allow"].split(",")) == {"GET", "POST"}
    assert explain(web.HTTPNotFound()).reason == "NotFound"
    assert explain(web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)).reason == "TooLarge"


def test_an_answer_has_code_reason_message_details_and_request_id() -> None:
    problem = Problem(403, "Denied", "no", {"violations": [1]}, {"Retry-After": "1"})
    response = answer_problem(problem, "id-1")
    assert response.status == 403
    assert response.headers["Retry-After"] == "1"
    assert json.loads(response.text or "") == {
        "error": {
            "code": 403,
            "reason": "Denied",
            "message": "no",
            "violations": [1],
            "requestId": "id-1",
        }
    }


def test_a_request_id_is_taken_over_only_if_it_is_a_plain_word() -> None:
    assert choose_request_id("abc-1.2_3") == "abc-1.2_3"
    for bad in (None, "", "a b", "x" * 65, "a\n", "ü", '"'):
        assert choose_request_id(bad) != bad
    assert choose_request_id(None) != choose_request_id(None)
