"""Bad inputs, each answered before anything is made."""

import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from tests.support.api import Api, manifest, serve
from tests.support.private_engine import PrivateEngine

JSON = {"Content-Type": "application/json"}
# none of these tests makes anything, so that they can share one application
pytestmark = pytest.mark.asyncio(loop_scope="module")
GOOD = json.dumps(manifest("never-made")).encode()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def api(private_engine: PrivateEngine) -> AsyncIterator[Api]:
    async with serve(DockerEngine(Endpoint(private_engine.host), "refusals"), "refusals") as served:
        yield served


def judge(body: bytes, **headers: str) -> dict[str, Any]:
    return {"data": body, "headers": JSON | {k.replace("_", "-"): v for k, v in headers.items()}}


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (judge(b""), 400, "EmptyBody"),
        (judge(b"{"), 400, "NotJson"),
        (judge(b'{"a":NaN}'), 400, "NumberOutOfRange"),
        (judge(b'{"a":1e999}'), 400, "NumberOutOfRange"),
        (judge(b'{"a":9007199254740993}'), 400, "NumberOutOfRange"),
        (judge(b'{"a":' + b"1" * 5000 + b"}"), 400, "NumberOutOfRange"),
        (judge(b'{"a":1,"a":2}'), 400, "DuplicateKey"),
        (judge(b"[" * 100_000), 400, "TooComplex"),
        (judge(b"[" * 65 + b"]" * 65), 400, "TooDeep"),
        (judge(b'"\\ud800"'), 400, "LoneSurrogate"),
        (judge(b'"\\u0000"'), 400, "NulCharacter"),
        (judge('{"a":1}'.encode("utf-16")), 400, "NotUtf8"),
        (judge(b"\xef\xbb\xbf{}"), 400, "NotUtf8"),
        (judge(b'"\xff"'), 400, "NotUtf8"),
        (judge(GOOD, Content_Type="text/plain"), 415, "UnsupportedMediaType"),
        (judge(GOOD, Content_Type="application/x-www-form-urlencoded"), 415, None),
        (judge(GOOD, Content_Type="application/json; charset=latin-1"), 415, None),
        (judge(GOOD, Content_Encoding="gzip"), 415, None),
        (judge(GOOD + b" " * (1 << 20)), 413, "TooLarge"),
    ],
)
async def test_a_body_that_is_no_plain_document_is_refused(
    api: Api, private_engine: PrivateEngine, request_: dict[str, Any], code: int, reason: str | None
) -> None:
    data = BytesIO(request_["data"])  # bytes of this size are warned of
    reply = await api.ask("POST", "/job", data=data, headers=request_["headers"])
    assert reply.code == reply.body["error"]["code"] == code
    assert reason in {None, reply.body["error"]["reason"]}
    assert reply.body["error"]["requestId"] == reply.headers["x-request-id"]
    assert "never-made" not in private_engine.names()


async def test_a_body_without_a_length_is_bounded_too(api: Api) -> None:
    async def send() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    reply = await api.ask("POST", "/job", data=send(), headers=JSON)
    assert (reply.code, reply.body["error"]["reason"]) == (413, "TooLarge")


@pytest.mark.parametrize(
    "name",
    ["../images/x", "a", "-x", "x" * 129, "a b", "a/b", "a\n", "ü", "", "x" * 5000, 5, None, ["x"]],
)
async def test_a_name_that_the_engine_could_misread_is_refused(
    api: Api, private_engine: PrivateEngine, name: object
) -> None:
    before = private_engine.names()
    reply = await api.post(manifest("x") | {"Name": name})
    assert reply.code == 400
    assert reply.body["error"]["reason"] in {"InvalidName", "NameMissing", "InvalidManifest"}
    assert private_engine.names() == before


@pytest.mark.parametrize(
    ("document", "code", "reason"),
    [
        (manifest("never-made") | {"Image": "nope:1"}, 400, "ImageNotFound"),
        (manifest("never-made", Platform="linux/s390x"), 400, "PlatformMismatch"),
        (manifest("never-made", HostConfig={"Memory": 1000}), 400, "EngineRefused"),
        (manifest("never-made", StopSignal="SIGNOPE"), 400, "EngineRefused"),
        (manifest("never-made") | {"Cmd": "true"}, 400, "InvalidManifest"),
        (manifest("never-made", Env=[1]), 400, "InvalidManifest"),
        (manifest("never-made", cmd=["x"]), 400, "InvalidManifest"),
        (manifest("never-made", HostConfig={"Privileged": True}), 403, "Denied"),
        ({"Image": "x"}, 400, "NameMissing"),
        (5, 400, "InvalidManifest"),
    ],
)
async def test_a_manifest_that_cannot_be_recorded_is_refused_with_its_reason(
    api: Api, private_engine: PrivateEngine, document: object, code: int, reason: str
) -> None:
    reply = await api.post(document)
    assert (reply.code, reply.body["error"]["reason"]) == (code, reason)
    assert "never-made" not in private_engine.names()


@pytest.mark.parametrize(
    ("source", "reason"),
    [("empty", "NoManifest"), ("halt", "NoManifest"), ('error("not today")', "FilterFailed")],
)
async def test_a_filter_that_makes_nothing_is_400(
    private_engine: PrivateEngine, source: str, reason: str
) -> None:
    engine = DockerEngine(Endpoint(private_engine.host), "refusals")
    async with serve(engine, "refusals", source=source) as api:
        reply = await api.post({})
    assert (reply.code, reply.body["error"]["reason"]) == (400, reason)
    assert "not today" in reply.body["error"]["message"] or reason == "NoManifest"


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        ("GET", "/nope", 404, "NotFound"),
        ("POST", "/jobs", 404, "NotFound"),
        ("PUT", "/job", 405, "MethodNotAllowed"),
        ("DELETE", "/job/x", 404, "JobNotFound"),
        ("DELETE", "/job/x/y", 405, "MethodNotAllowed"),
        ("POST", "/health/live", 405, "MethodNotAllowed"),
        ("POST", "/job//x", 400, "InvalidPath"),
        ("POST", "/job/a%00b", 400, "InvalidPath"),
        ("POST", "/job?dryrun=true", 400, "InvalidQuery"),
        ("POST", "/job?dryRun=yes", 400, "InvalidQuery"),
    ],
)
async def test_a_path_that_leads_nowhere_is_refused_in_the_one_shape(
    api: Api, method: str, path: str, code: int, reason: str
) -> None:
    reply = await api.ask(method, path, json={} if method == "POST" else None)
    error = reply.body["error"]
    assert (reply.code, error["code"], error["reason"]) == (code, code, reason)
    assert error["requestId"]
    assert ("allow" in reply.headers) == (code == 405)
