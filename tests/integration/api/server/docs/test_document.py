"""The OpenAPI document against the code: every route, every reason, every example."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry
from referencing.jsonschema import DRAFT202012

import api.server
from api.server.app import make_app
from api.server.docs import openapi
from api.server.filters.service import from_options
from api.server.http.reasons import ProblemReason
from api.server.metrics import ApiMetrics
from api.server.settings import Settings
from api.v1.job import Status
from api.v1.spec import JobSpec
from api.v1.times import SECOND
from api.v1.view import JobView, Standing, view_job
from tests.fuzz.oracle import list_reasons
from tests.support.jobs import make_job
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess

DOCUMENT = openapi.load()
SOURCE = Path(api.server.__file__).parent
HTTP = {"get", "post", "put", "patch", "delete", "head", "options", "trace"}
NOT_OF_A_ROUTE = {(404, "NotFound"), (405, "MethodNotAllowed")}
"""What the text of the document says of paths and methods that are not in it."""


def list_operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        yield from ((path, method, part) for method, part in item.items() if method in HTTP)


def follow(part: dict[str, Any]) -> dict[str, Any]:
    """Return ``part``, or what its ``$ref`` leads to."""
    if "$ref" not in part:
        return part
    found: Any = DOCUMENT
    for key in part["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    assert isinstance(found, dict)
    return found


def list_bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every JSON body of the document, of requests and of answers, under a name."""
    for path, method, operation in list_operations():
        if "requestBody" in operation:
            yield (
                f"{method} {path}",
                follow(operation["requestBody"])["content"]["application/json"],
            )
        for code, response in operation["responses"].items():
            content = follow(response).get("content", {})
            if "application/json" in content:
                yield f"{method} {path} {code}", content["application/json"]


def list_examples() -> Iterator[Any]:
    for where, body in list_bodies():
        for name, example in body.get("examples", {}).items():
            yield pytest.param(body["schema"], example["value"], id=f"{where} {name}")


def list_posts() -> Iterator[Any]:
    for path, method, operation in list_operations():
        if method == "post" and path.startswith("/job"):
            content = follow(operation["requestBody"])["content"]
            for name, example in content["application/json"]["examples"].items():
                yield pytest.param(path, example["value"], id=f"{path} {name}")


def test_it_is_valid() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    validate(yaml.safe_load((SOURCE / "docs" / "openapi.yaml").read_text()))
    validate(DOCUMENT)


async def test_it_has_every_route_and_no_other() -> None:
    from tests.fakes.engine.engine import MemoryEngine

    filters = from_options(filter_source=".", from_file=None, filter_env=(), environ={})
    app = make_app(MemoryEngine(), filters, Settings("ns"), metrics=ApiMetrics())
    served = {
        (route.resource.canonical.replace("/job/{path}", "/job/{id}"), route.method.lower())
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert {(path, method) for path, method, _ in list_operations()} == served


def test_it_has_every_reason_with_its_codes_and_no_other() -> None:
    declared = {(code, str(reason)) for reason in ProblemReason for code in reason.codes}
    assert set(list_reasons(DOCUMENT)) | NOT_OF_A_ROUTE == declared


@pytest.mark.parametrize(("schema", "example"), [*list_examples()])
def test_every_example_is_as_its_schema_says(schema: dict[str, Any], example: object) -> None:
    resource = DRAFT202012.create_resource({"$id": "urn:api", **DOCUMENT})
    registry = Registry().with_resource("urn:api", resource)
    absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:api#/'))
    Draft202012Validator(absolute, registry=registry).validate(example)


@pytest.mark.parametrize("status", [*Status])
@pytest.mark.parametrize("up", [True, False])
def test_every_job_is_shown_as_the_schema_says(status: Status, up: bool) -> None:
    spec = JobSpec("/job", "run", image="busybox", labels=(("a", "b"),))
    job = make_job("f" * 64, status, id="job", spec=spec, exit_code=1, started_at=SECOND)
    view = json.loads(json.dumps(view_job(job, 2 * SECOND, Standing(engine_is_up=up))))
    test_every_example_is_as_its_schema_says({"$ref": "#/components/schemas/Job"}, view)
    event = {"type": "changed", "version": "e7f3-4712", "job": view}
    test_every_example_is_as_its_schema_says({"$ref": "#/components/schemas/JobEvent"}, event)
    schema = DOCUMENT["components"]["schemas"]["Job"]
    assert [*schema["properties"]] == schema["required"] == [*JobView.__annotations__] == [*view]


def test_every_json_body_of_an_answer_has_an_example() -> None:
    without = [where for where, body in list_bodies() if not body.get("examples")]
    assert without == ["get /openapi.json 200"]


@pytest.fixture(scope="module")
def served(private_engine: PrivateEngine) -> Iterator[ApiProcess]:
    with ApiProcess(private_engine.host, "examples", env={"JOB_IMAGE": IMAGE}) as process:
        yield process


@pytest.mark.parametrize(("path", "document"), [*list_posts()])
def test_every_example_of_a_request_is_recorded_as_it_stands(
    served: ApiProcess, private_engine: PrivateEngine, path: str, document: object
) -> None:
    target = path.replace("{id}", "thumbnails")
    reply = served.post(document, target)
    try:
        assert reply.code == 201
        assert private_engine.inspect(reply.body["uid"])["State"]["Status"] == "created"
        again = served.post(document, target)
        known = {"sameDocument": True, "phase": "Pending", "finished": False}
        assert (again.code, again.body) == (200, {**reply.body, **known})
        assert served.get(f"/job/{reply.body['id']}").body["phase"] == "Pending"
    finally:
        private_engine.docker("rm", "-v", reply.body["id"])


def test_it_is_served_as_it_is(served: ApiProcess) -> None:
    reply = served.get("/openapi.json")
    assert (reply.code, reply.body) == (200, DOCUMENT)


def test_a_path_may_have_many_segments_which_the_document_can_only_tell(
    served: ApiProcess, private_engine: PrivateEngine
) -> None:
    reply = served.post({"args": [], "id": "deep"}, "/job/thumbnails/large/%C3%A9")
    assert reply.code == 201
    labels = private_engine.inspect(reply.body["uid"])["Config"]["Labels"]
    private_engine.docker("rm", "-v", reply.body["id"])
    assert labels["docker-job-dispatcher.path"] == "/job/thumbnails/large/é"
    assert served.post({"args": []}, "/job/thumbnails%2Flarge").code == 400
