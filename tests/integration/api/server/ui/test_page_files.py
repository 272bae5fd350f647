"""The page's files over HTTP, and what it asks of engine and controller."""

from pathlib import Path

from api.http.origins import choose_hosts
from api.server.access.guard import Guard
from api.server.access.token_store import TokenStore
from tests.integration.api.server.test_job_routes import A, B, bear
from tests.support.api import Api
from tests.support.ui import Scene

WAIT = {
    "reason": "NoSlot",
    "message": "no free slot (2 of 2 used), 0 ahead of it",
    "position": 1,
    "until": None,
}


async def test_the_page_needs_no_token_and_its_data_does(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{A} read\n")
    file.chmod(0o600)
    guard = Guard(choose_hosts("127.0.0.1", ()), token_store=TokenStore(file))
    async with Scene().serve(guard=guard) as api:
        for path, kind in (
            ("", "text/html"),
            ("main.js", "text/javascript"),
            ("style.css", "text/css"),
        ):
            reply = await api.get(f"/ui/{path}")
            assert (reply.code, reply.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
            assert reply.headers["x-content-type-options"] == "nosniff"
            policy = reply.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
        assert (await api.get("/ui/plan")).code == 401
        assert (await api.get("/ui/plan", headers=bear(A))).code == 200


async def test_a_file_that_is_known_is_not_sent_again() -> None:
    async with Scene().serve() as api:
        first = await api.get("/ui/main.js")
        tag = first.headers["etag"]
        assert first.headers["cache-control"] == "no-cache"
        again = await api.get("/ui/main.js", headers={"If-None-Match": f'"other", {tag}'})
        assert (again.code, again.body, again.headers["etag"]) == (304, "", tag)
        assert (await api.get("/ui/main.js", headers={"If-None-Match": '"other"'})).code == 200


async def test_short_ways_lead_to_the_page() -> None:
    async with Scene().serve() as api:
        for path in ("/", "/ui"):
            reply = await api.get(path, allow_redirects=False)
            assert (reply.code, reply.headers["location"]) == (302, "ui/")
            assert "<title>Jobs</title>" in (await api.get(path)).body


async def test_nothing_else_of_the_installation_is_a_file_of_the_page() -> None:
    async with Scene().serve() as api:
        for path in (
            "files.py",
            "no.js",
            "..%2ffiles.py",
            "%2e%2e/files.py",
            "main.js/",
            "plan.py",
        ):
            assert (await api.get(f"/ui/{path}")).code == 404, path


async def ask(api: Api, token: str | None = None) -> dict[str, object]:
    reply = await api.get("/ui/plan", headers=bear(token) if token else {})
    assert reply.code == 200
    found: dict[str, object] = reply.body
    return found


async def test_a_token_sees_why_its_own_jobs_wait_and_no_sum_of_others(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{A} read /job/a\n{B} read\n")
    file.chmod(0o600)
    guard = Guard(choose_hosts("127.0.0.1", ()), token_store=TokenStore(file))
    scene = Scene()
    own, other = scene.add("own", path="/job/a"), scene.add("other", path="/job/b")
    for uid in (own, other, "f" * 64):
        scene.controller.wait(uid, "NoSlot", "no free slot (2 of 2 used), 0 ahead of it", 1)
    scene.controller.used = 1
    async with scene.serve(guard=guard) as api:
        seen = await ask(api, A)
        assert seen["waits"] == {own: WAIT | {"message": "no free slot", "position": None}}
        assert seen["controller"] == {"role": "active", "slotsUsed": None, "slotsAllowed": None}
        seen = await ask(api, B)
        assert seen["waits"] == {own: WAIT, other: WAIT}
        assert seen["controller"] == {"role": "active", "slotsUsed": 1, "slotsAllowed": 2}
        assert seen["engine"] == {"up": True}


async def test_a_controller_that_does_not_answer_is_said_to_be_silent() -> None:
    scene = Scene()
    scene.controller.is_silent = True
    async with scene.serve() as api:
        assert (await ask(api))["controller"] == {
            "role": "silent",
            "slotsUsed": None,
            "slotsAllowed": None,
        }


async def test_many_who_ask_at_once_ask_the_controller_once() -> None:
    scene = Scene()
    async with scene.serve() as api:
        for _ in range(5):
            await ask(api)
    assert scene.controller.asked == 1
