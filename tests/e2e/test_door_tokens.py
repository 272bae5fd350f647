"""Tokens, hosts and TLS on the real process, and what the engine holds after each refusal."""

import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.filter_configs import config
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, Reply
from tests.support.waiting import wait_until

JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: ["true"]}'
ALL, READER, THUMBS, NEXT = (f"{word}-{'x' * 20}" for word in ("all", "reader", "thumbs", "next"))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(f"{ALL}\n{READER} read\n{THUMBS} /job/thumbnails  # the gallery\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def api(private_engine: PrivateEngine, namespace: str, tokens: Path) -> Iterator[ApiProcess]:
    with ApiProcess(private_engine.host, namespace, JOB, "--token-file", str(tokens)) as process:
        yield process


def held(engine: PrivateEngine, namespace: str) -> list[str]:
    return engine.names(f"label=docker-job-dispatcher.namespace={namespace}")


def test_without_a_token_nothing_is_recorded_shown_or_measured(
    private_engine: PrivateEngine, namespace: str, api: ApiProcess
) -> None:
    job = {"name": f"{namespace}-a"}
    replies: list[Reply] = [
        api.post(job),
        api.post(job, **bearer("wrong-" + ALL)),
        api.post(job, **bearer(ALL.upper())),
        api.get(f"/job/{namespace}-a"),
        api.get("/metrics"),
        api.get("/health/ready"),
        api.get("/openapi.json"),
        api.get("/docs"),
        api.get("/nowhere"),
    ]
    for reply in replies:
        assert reply.code == 401
        assert reply.body["error"]["reason"] == "Unauthorized"
        assert reply.headers["www-authenticate"].startswith("Bearer ")
    assert api.get("/health/live").code == 204
    assert held(private_engine, namespace) == []
    assert api.post(job, **bearer(ALL)).code == 201
    assert api.get("/metrics", **bearer(READER)).code == 200
    assert api.get("/health/ready", **bearer(READER)).code == 204
    # wrong ones are told of, and no token is told
    assert len(api.events("token refused")) == 2
    assert "x" * 20 not in api.log().lower()


def test_a_token_for_a_path_can_do_nothing_elsewhere(
    private_engine: PrivateEngine, namespace: str, api: ApiProcess
) -> None:
    mine, other, root = (f"{namespace}-{word}" for word in ("mine", "other", "root"))
    limited = bearer(THUMBS)
    assert api.post({"name": mine}, "/job/thumbnails/small", **limited).code == 201
    assert api.post({"name": other}, "/job/thumbnails2", **bearer(ALL)).code == 201
    assert api.post({"name": root}, "/job", **bearer(ALL)).code == 201

    assert api.get(f"/job/{mine}", **limited).code == 200
    for name in (other, root, f"{namespace}-none"):
        reply = api.get(f"/job/{name}", **limited)
        assert (reply.code, reply.body["error"]["reason"]) == (404, "JobNotFound")
        assert api.get(f"/job/{other}", **bearer(READER)).code == 200

    before = held(private_engine, namespace)
    for path in ("/job", "/job/other", "/job/thumbnails/../other", "/job/thumbnails%2f..%2fx"):
        reply = api.post({"name": f"{namespace}-new"}, path, **limited)
        assert reply.code == 403, path
    # not even whether a name of others is a job
    reply = api.post({"name": other}, "/job/thumbnails", **limited)
    assert (reply.code, reply.body["error"]["reason"]) == (409, "NameTaken")
    assert "uid" not in reply.body
    assert api.post({"name": mine}, "/job/thumbnails/small", **limited).code == 200
    assert api.post({"name": f"{namespace}-new"}, **bearer(READER)).code == 403
    for page in ("/metrics", "/health/ready", "/nowhere"):
        assert api.get(page, **limited).code == 403
    assert held(private_engine, namespace) == before


def test_a_change_of_the_file_counts_and_a_bad_one_does_not(api: ApiProcess, tokens: Path) -> None:
    tokens.write_text(f"{NEXT} read\n")
    wait_until(lambda: api.get("/metrics", **bearer(NEXT)).code == 200, "the new token counts")
    assert api.get("/metrics", **bearer(ALL)).code == 401
    tokens.write_text("what is this?")
    wait_until(
        lambda: api.events("token file refused; the last good one stays in force"), "it is told"
    )
    assert api.get("/metrics", **bearer(NEXT)).code == 200
    assert "what is this" not in api.log()


def test_a_conflict_with_a_job_that_the_token_may_not_see_is_a_taken_name(
    private_engine: PrivateEngine, namespace: str, tokens: Path, tmp_path: Path
) -> None:
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "a.yaml").write_text(config(jq=JOB))
    options = ("--token-file", str(tokens), "--from-file", str(tmp_path / "filters"))
    job = {"name": f"{namespace}-a"}
    with ApiProcess(private_engine.host, namespace, *options) as api:
        assert api.post(job, "/job/other", **bearer(ALL)).code == 201
        seen = api.post(job, "/job/thumbnails", **bearer(ALL))
        hidden = api.post(job, "/job/thumbnails", **bearer(THUMBS))
    reasons = [reply.body["error"]["reason"] for reply in (seen, hidden)]
    assert (seen.code, hidden.code, reasons) == (409, 409, ["DocumentConflict", "NameTaken"])


def test_files_that_others_can_write_are_a_warning(
    private_engine: PrivateEngine, namespace: str, tokens: Path, tmp_path: Path
) -> None:
    tokens.chmod(0o644)
    filters = tmp_path / "filter.jq"
    filters.write_text(JOB)
    filters.chmod(0o666)
    options = ("--token-file", str(tokens), "--from-file", str(filters))
    with ApiProcess(private_engine.host, namespace, *options) as api:
        assert {e["fault"] for e in api.events("a file is exposed to others")} == {
            f"{tokens} can be read by everybody",
            f"{filters} can be written by everybody",
        }


def test_foreign_hosts_and_pages_record_nothing(
    private_engine: PrivateEngine, namespace: str
) -> None:
    job = {"name": f"{namespace}-a"}
    with ApiProcess(private_engine.host, namespace, JOB, "--allowed-host", "jobs.example") as api:
        assert api.post(job, Host="evil.example").code == 421
        assert api.post(job, Host=f"localhost.evil.example:{api.port}").code == 421
        assert api.post(job, Origin="http://evil.example").code == 403
        assert api.post(job, Origin="null").code == 403
        assert held(private_engine, namespace) == []
        page = f"http://jobs.example:{api.port}"
        assert api.post(job, Host=f"jobs.example:{api.port}", Origin=page).code == 201
        assert not [h for h in api.get("/metrics").headers if h.startswith("access-control")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bind", "0.0.0.0"], "needs --token-file or --allow-anonymous"),
        (["--allow-anonymous", "--token-file", "TOKENS"], "exclude each other"),
        (["--token-file", "TOKENS.gone"], "No such file"),
        (["--token-file", "BAD"], "line 1: a token is 16"),
        (["--allowed-host", "jobs.example:80"], "without a port"),
        (["--tls-cert", "TOKENS"], "must be given together"),
        (["--tls-cert", "TOKENS", "--tls-key", "TOKENS"], "not a certificate and its key"),
    ],
)
def test_what_cannot_guard_does_not_start(tokens: Path, options: list[str], message: str) -> None:
    bad = tokens.with_name("bad")
    bad.write_text("hunter2")
    words = [o.replace("TOKENS", str(tokens)).replace("BAD", str(bad)) for o in options]
    ended = subprocess.run(
        [sys.executable, "-m", "api", "--port", "0", *words], capture_output=True, check=False
    )
    assert ended.returncode == 2
    assert message in " ".join(ended.stderr.decode().split())
    assert b"hunter2" not in ended.stderr


def test_with_tokens_any_address_may_be_listened_on(
    private_engine: PrivateEngine, namespace: str, tokens: Path
) -> None:
    options = ("--bind", "0.0.0.0", "--token-file", str(tokens))
    with ApiProcess(private_engine.host, namespace, JOB, *options) as api:
        assert api.get("/metrics").code == 401
        assert api.get("/metrics", **bearer(READER)).code == 200


def test_with_a_certificate_only_tls_is_spoken(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    options = ("--tls-cert", str(certificate), "--tls-key", str(key))
    api = ApiProcess(private_engine.host, namespace, JOB, *options)
    try:
        api.start(wait=False)
        wait_until(lambda: api.events("serving"), "it serves")
        trusted = ssl.create_default_context(cafile=certificate)
        url = f"https://127.0.0.1:{api.port}/health/ready"
        with urllib.request.urlopen(url, context=trusted, timeout=10) as reply:
            assert reply.status == 204
        with pytest.raises(ConnectionError):
            api.get("/health/live")
        assert api.terminate() == 0
    finally:
        api.close()
