"""What the engine says of a pull: which image, how far it is, and why it ended."""

import base64
import json

import pytest

from api.engine.docker.pull import encode_credentials, fold, read_error, read_status, split_image
from api.engine.interface import Credentials

DIGEST = "sha256:" + "1a" * 32


@pytest.mark.parametrize(
    ("image", "name", "tag"),
    [
        ("debian", "debian", "latest"),
        ("debian:12", "debian", "12"),
        ("example.org:5000/team/job", "example.org:5000/team/job", "latest"),
        ("example.org:5000/team/job:v1", "example.org:5000/team/job", "v1"),
        (f"debian@{DIGEST}", "debian", DIGEST),
        (f"example.org:5000/job:v1@{DIGEST}", "example.org:5000/job", DIGEST),
    ],
)
def test_exactly_one_image_is_asked_for(image: str, name: str, tag: str) -> None:
    assert split_image(image) == (name, tag)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, 'Head "http://127.0.0.1:5001/v2/job/manifests/1": no basic auth credentials'),
        (403, "unauthorized: authentication required"),
        (403, "error pulling image configuration: download failed after attempts=6: denied"),
        (403, "pull access denied for x, repository does not exist or may require 'docker login'"),
        (403, "error parsing HTTP 403 response body: unexpected end of JSON input"),
        (403, 'Get "https://e.org/v2/": unauthorized: incorrect username or password'),
        (403, "failed to resolve reference: unexpected status: 403 Forbidden"),
        (404, "manifest for 127.0.0.1:5000/denied:1 not found: manifest unknown: nothing"),
        (404, "name unknown"),
        (404, 'failed to resolve reference "e.org/job:1": e.org/job:1: not found'),
        (404, "no matching manifest for linux/amd64 in the manifest list entries"),
        (404, 'image operating system "windows" cannot be used on this platform'),
        (429, "toomanyrequests: You have reached your pull rate limit"),
        (None, 'Get "http://127.0.0.1:5002/v2/": dial tcp 127.0.0.1:5002: connection refused'),
        (None, 'Get "https://denied.org/v2/": dial tcp: lookup denied.org: no such host'),
        (None, "received unexpected HTTP status: 503 Service Unavailable"),
        (None, "write /var/lib/docker/tmp/x: no space left on device"),
    ],
)
def test_a_refusal_has_the_status_that_its_text_speaks_of(status: int | None, message: str) -> None:
    assert read_status(message) == status


def test_layers_and_bytes_add_up_over_lines_of_any_kind() -> None:
    layers: dict[str, int] = {}
    complete: set[str] = set()
    for line in (
        {"status": "Pulling from job", "id": "1"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "a"},
        {"status": "Already exists", "progressDetail": {}, "id": "b"},
        {"status": "Downloading", "progressDetail": {"current": 10, "total": 90}, "id": "a"},
        {"status": "Downloading", "progressDetail": {"current": 70, "total": 90}, "id": "a"},
        {"status": "Downloading", "progressDetail": None, "id": "a"},
        {"status": "Extracting", "progressDetail": {"current": 5, "total": 90}, "id": "a"},
        {"status": "Pull complete", "progressDetail": {}, "id": "a"},
        {"status": "Digest: sha256:1"},
    ):
        fold(line, layers, complete)
    assert (layers, complete) == ({"a": 70, "b": 0}, {"a", "b"})


@pytest.mark.parametrize(
    "line",
    [
        {"errorDetail": {"message": "denied"}, "error": "denied"},
        {"errorDetail": {"code": 1, "message": "denied"}},
        {"error": "denied"},
    ],
)
def test_an_error_in_the_stream_is_read_in_both_spellings(line: dict[str, object]) -> None:
    assert read_error(line) == "denied"


def test_credentials_go_as_the_engine_decodes_them_and_show_no_secret() -> None:
    password = "pä?ss>~"
    credentials = Credentials("example.org", "user", password, "token-text")
    sent = encode_credentials(credentials)
    assert json.loads(base64.urlsafe_b64decode(sent)) == {
        "username": "user",
        "password": password,
        "identitytoken": "token-text",
        "serveraddress": "example.org",
    }
    assert password not in repr(credentials)
    assert "token-text" not in repr(credentials)
