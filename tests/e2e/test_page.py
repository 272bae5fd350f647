"""The page at /ui/ in a real browser, on an engine in memory."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from api.engine.interface import LogStream
from api.http.origins import choose_hosts
from api.server.access.guard import Guard
from api.server.access.token_store import TokenStore
from tests.support.api import Api
from tests.support.axe.audit import audit
from tests.support.browser import Page, browse
from tests.support.ui import Scene, find_url
from tests.support.ui_scene import list_slots, set_scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

READER, POSTER = "a-token-that-reads", "a-token-that-posts"
HOSTILE = "<img src=x onerror=alert(1)>\u202e<script>alert(2)</script>"
ROWS = "[...document.querySelectorAll('.jobs tbody tr a')].map((link) => link.innerText)"
NOTICE = "document.getElementById('notice').innerText"
# innerText is empty where what is out of sight is not laid out
LINES = "[...document.querySelectorAll('.line .text')].map((text) => text.textContent)"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Page]:
    async with browse(os.getpid()) as page:
        yield page


@asynccontextmanager
async def show(
    browser: Page, scene: Scene, route: str = "#/jobs", *, guard: Guard | None = None
) -> AsyncIterator[tuple[Page, Api]]:
    """Open the page in a tab of its own; at the end nothing may have been complained about."""
    async with scene.serve(guard=guard) as api:
        page = await browser.open_another()
        # a cookie is of a host, whatever the port
        await page.send("Network.clearBrowserCookies")
        await page.send("Page.navigate", url=find_url(api, f"/ui/{route}"))
        try:
            yield page, api
            own = urlsplit(find_url(api)).netloc
            assert {urlsplit(url).netloc for url in page.requests} == {own}
            assert page.complaints == []
        finally:
            await page.close()


async def test_jobs_are_filtered_by_phase_queue_and_text(browser: Page) -> None:
    scene = Scene()
    for number, queue in enumerate(("etl", "gpu", "etl")):
        scene.add(f"job-{number}", queue=queue, labels={"team": f"t{number}"})
    scene.run("job-0")
    scene.controller.wait(scene.engine.get("job-2").id, "QueueCap", "is full", 3)
    async with show(browser, scene) as (page, _):
        await page.wait_for(ROWS, lambda rows: rows == ["job-2", "job-1", "job-0"])
        await page.wait_until_is(
            "document.querySelector('.c-why').innerText", "its queue is full, 3rd in etl"
        )
        counts = "[...document.querySelectorAll('.phase .count')].map((each) => each.innerText)"
        assert (await page.evaluate(counts))[:3] == ["3", "2", "1"]
        await page.click(".phase[data-phase=Pending]")
        await page.wait_for(ROWS, lambda rows: rows == ["job-2", "job-1"])
        await page.evaluate(
            "(select => { select.value = 'gpu'; select.dispatchEvent(new Event('change')) })"
            "(document.querySelector('select'))"
        )
        await page.wait_for(ROWS, lambda rows: rows == ["job-1"])
        assert await page.evaluate("location.hash") == "#/jobs?phase=Pending&queue=gpu"
        await page.evaluate("history.back()")
        await page.wait_for(ROWS, lambda rows: rows == ["job-2", "job-1", "job-0"])
        await page.press("/")
        await page.type("TEAM=t0")
        await page.wait_for(ROWS, lambda rows: rows == ["job-0"])
        await page.type("x")
        await page.wait_until_is("document.querySelector('.empty').innerText", "No job matches.")


async def test_a_job_is_cancelled_by_keys_alone(browser: Page) -> None:
    scene = Scene()
    uid = scene.add("unwanted")
    async with show(browser, scene) as (page, _):
        await page.wait_for(ROWS, len)
        await page.evaluate("document.querySelector('.c-act button').focus()")
        await page.press("Enter")
        await page.wait_for(
            "document.querySelector('dialog[open]')?.innerText.includes('unwanted')"
        )
        # the safe answer has the focus, and Escape is one too
        assert await page.evaluate("document.activeElement.innerText") == "Keep it"
        await page.press("Escape")
        await page.wait_for("!document.querySelector('dialog')")
        assert not scene.engine.has_marks
        await page.press("Enter")
        await page.wait_for("!!document.querySelector('dialog[open]')")
        await page.evaluate(f"document.getElementById('why').value = {json.dumps('typo')}")
        await page.evaluate("document.getElementById('why').focus()")
        await page.press("Enter")
        await page.wait_until_is("document.querySelector('.badge').innerText", "Cancelled")
        await page.wait_until_is("document.querySelector('.c-why').innerText", "cancelled (typo)")
        assert await page.evaluate("document.querySelector('.c-act').childElementCount") == 0
    assert uid in {name.removeprefix("djd-cancel-") for name in scene.engine.names()}


async def test_what_strangers_write_stays_text(browser: Page) -> None:
    scene = Scene()
    uid = scene.add("victim", labels={HOSTILE: HOSTILE}, queue=HOSTILE, share=HOSTILE)
    scene.controller.wait(uid, HOSTILE, HOSTILE, 1)
    scene.run(scene.add("talks", labels={"a": HOSTILE}))
    scene.engine.write("talks", f"{HOSTILE}\n\x1b]8;;javascript:alert(3)\x1b\\x\x1b[0m\n".encode())
    talks = scene.engine.get("talks").id
    async with show(browser, scene) as (page, _):
        await page.wait_for(
            "document.querySelector('tr:nth-child(2) .c-why')?.innerText.includes('<img')"
        )
        assert await page.evaluate("document.querySelectorAll('main img, main script').length") == 0
        await page.evaluate(f"location.hash = '#/job/{uid}'")
        await page.wait_for("document.querySelector('.labels')?.innerText.includes('onerror')")
        await page.evaluate(f"location.hash = '#/job/{talks}'")
        lines = await page.wait_for(LINES, lambda found: len(found) == 2)
        assert lines == [HOSTILE.replace("\u202e", "\\u202e"), "x"]
        assert await page.evaluate("document.querySelectorAll('main img, main script').length") == 0


async def test_a_log_follows_while_the_reader_is_at_its_end(browser: Page) -> None:
    scene = Scene()
    uid = scene.add("talks")
    scene.run(uid)
    write = scene.engine.write
    write(uid, b"".join(b"old %d\n" % number for number in range(6000)))
    write(uid, b"0%\r50%\r\x1b[32m100%\n")
    write(uid, b"bad\n", LogStream.STDERR)
    write(uid, b"x" * 1_000_000 + b"\n")
    async with show(browser, scene, f"#/job/{uid}") as (page, _):
        await page.wait_for(LINES, lambda found: found and found[-1].startswith("xxx"))
        lines = await page.wait_for(LINES, lambda found: len(found) <= 5000)
        assert lines[-3:-1] == ["100%", "bad"]
        assert lines[-1] == "x" * 4096 + " … 995.9 kB more in this line".replace("995.9", "996")
        assert await page.evaluate(
            "document.querySelector('.line.stderr').innerText.startsWith('err')"
        )
        at_end = (
            "((list) => list.scrollHeight - list.scrollTop - list.clientHeight < 12)"
            "(document.querySelector('.lines'))"
        )
        await page.wait_for(at_end)
        write(uid, b"new 1\n")
        await page.wait_for(LINES, lambda found: found[-1] == "new 1")
        await page.wait_for(at_end)
        await page.evaluate("document.querySelector('.lines').scrollTop = 500")
        await page.wait_for("!document.querySelector('.to-end').hidden")
        write(uid, b"new 2\n")
        await page.wait_for(LINES, lambda found: found[-1] == "new 2")
        assert not await page.evaluate(at_end)
        await page.click(".to-end")
        await page.wait_for(at_end)
        write(uid, b"".join(b"more %d\n" % number for number in range(100)))
        await page.wait_for(LINES, lambda found: found[-1] == "more 99")
        assert len(await page.evaluate(LINES)) == 5000
        scene.engine.cut_streams()
        write(uid, b"new 3\n")
        scene.finish(uid, 3)
        await page.wait_until_is(
            "document.querySelector('.log-state').innerText", "5000 lines, whole"
        )
        assert (await page.evaluate(LINES))[-3:] == ["more 98", "more 99", "new 3"]
        await page.wait_until_is("document.querySelector('.code')?.innerText", "exit code 3")


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    """Return a guard that lets one token read and another post."""
    file = tmp_path / "tokens"
    file.write_text(f"{READER} read\n{POSTER} post\n")
    file.chmod(0o600)
    return Guard(choose_hosts("127.0.0.1", ()), token_store=TokenStore(file))


async def log_in(page: Page, token: str) -> None:
    await page.wait_for("!!document.querySelector('.login')")
    await page.evaluate("document.getElementById('token').focus()")
    await page.type(token)
    await page.press("Enter")


@pytest.mark.thorough
async def test_a_token_that_may_not_cancel_is_not_offered_it(browser: Page, guard: Guard) -> None:
    scene = Scene()
    uid = scene.add("seen")
    async with show(browser, scene, guard=guard) as (page, _):
        await log_in(page, READER)
        await page.wait_for(ROWS, lambda rows: rows == ["seen"])
        assert await page.evaluate("document.querySelectorAll('main .c-act button').length") == 0
        await page.evaluate(f"location.hash = '#/job/{uid}'")
        await page.wait_until_is("document.querySelector('.head h1')?.innerText", "seen")
        assert await page.evaluate("document.querySelectorAll('.head button').length") == 0
        assert await page.evaluate("document.querySelector('nav button').innerText") == "Log out"


async def test_it_says_what_is_away_and_since_when(browser: Page) -> None:
    scene = Scene()
    scene.add("kept")
    async with show(browser, scene) as (page, _):
        await page.wait_for(ROWS, len)
        await page.wait_for(
            "[...document.querySelectorAll('.pill')].every((pill) => pill.dataset.state === 'good')"
        )
        assert await page.evaluate(NOTICE) == ""
        scene.engine.go_down()
        await page.wait_for(
            NOTICE, lambda text: text.startswith("The Docker Engine does not answer")
        )
        assert await page.evaluate(
            "document.querySelector('[data-part=Engine]').innerText.includes('away, for')"
        )
        scene.engine.heal()
        scene.controller.is_silent = True
        await page.wait_for(NOTICE, lambda text: text.startswith("No controller answers"))
        scene.controller.is_silent = False
        await page.wait_until_is(NOTICE, "")


async def test_who_held_a_slot_is_drawn(browser: Page) -> None:
    scene = Scene()
    async with show(browser, scene, "#/slots") as (page, _):
        await page.wait_for("!!document.querySelector('.chart .empty')")
        first, second = scene.add("first"), scene.add("second")
        scene.run(first)
        scene.run(second)
        scene.finish(first, 3)
        bars = "[...document.querySelectorAll('.slot')].map((bar) => bar.dataset.phase)"
        await page.wait_for(bars, lambda found: sorted(found) == ["Failed", "Running"])
        lanes = "[...document.querySelectorAll('.slot')].map((bar) => bar.offsetTop)"
        assert len(set(await page.evaluate(lanes))) == 2
        told = "document.querySelector('.told').innerText"
        assert (await page.evaluate(told)).startswith("2 jobs, at most 2 at once, 1 now")
        assert "go to it with Tab" in await page.evaluate(told)
        clips = "getComputedStyle(document.querySelector('.axis')).overflow"
        assert await page.evaluate(clips) == "visible"
        await page.click(".titled .phase:last-child")
        assert len(await page.evaluate(bars)) == 2
        await page.evaluate("document.querySelector('.slot[data-phase=Failed]').focus()")
        assert (await page.evaluate(told)).startswith("first: Failed, queue default,")
        await page.press("Enter")
        await page.wait_until_is("document.querySelector('.head h1')?.innerText", "first")


LATE = """
    const late = Date;
    globalThis.Date = class extends late {
        constructor(...given) { given.length ? super(...given) : super(late.now() - 3600000); }
        static now() { return late.now() - 3600000; }
    };
"""


@pytest.mark.thorough
async def test_a_clock_that_is_wrong_by_an_hour_changes_no_duration(browser: Page) -> None:
    scene = Scene()
    scene.run(scene.add("runs"))
    async with show(browser, scene) as (page, _):
        await page.send("Page.addScriptToEvaluateOnNewDocument", source=LATE)
        await page.send("Page.reload")
        time = "document.querySelector('.c-time')?.innerText"
        await page.wait_for(time, lambda text: str(text).startswith("runs"))
        assert (await page.evaluate(time)).endswith(" s")
        assert "min" not in await page.evaluate(time)
        assert await page.evaluate(
            "document.querySelector('.c-created').innerText.endsWith('s ago')"
        )


HIDE = """
    Object.defineProperty(document, 'hidden', {{value: {}, configurable: true}});
    document.dispatchEvent(new Event('visibilitychange'));
"""


async def test_the_stream_is_closed_while_the_tab_is_hidden(browser: Page) -> None:
    scene = Scene()
    scene.add("before")
    async with show(browser, scene) as (page, api):
        await page.wait_for(
            "document.querySelector('[data-part=Stream]')?.innerText.startsWith('Live')"
        )
        assert 'dispatcher_watchers{kind="events"} 1.0' in (await api.get("/metrics")).body
        await page.evaluate(HIDE.format("true"))
        async with asyncio.timeout(30):
            while 'dispatcher_watchers{kind="events"} 0.0' not in (await api.get("/metrics")).body:
                await asyncio.sleep(0.1)
        await page.wait_for("document.body.classList.contains('stale')")
        scene.add("meanwhile")
        assert await page.evaluate(ROWS) == ["before"]
        await page.evaluate(HIDE.format("false"))
        await page.wait_for(ROWS, lambda rows: rows == ["meanwhile", "before"])
        await page.wait_for("!document.body.classList.contains('stale')")


async def test_an_empty_list_says_how_to_post(browser: Page, guard: Guard) -> None:
    async with show(browser, Scene(), guard=guard) as (page, api):
        module = "import('/ui/jobs-view.js').then((all) => all.writePost('URL', {}))"
        for needs, header in ((False, ""), (True, '-H "Authorization: Bearer $TOKEN" ')):
            assert await page.evaluate(module.format(json.dumps(needs))) == (
                f"curl -H 'Content-Type: application/json' {header}"
                """-d '{"args": ["-c", "echo Hello"]}' URL"""
            )
        # who may not post is not told to
        await log_in(page, READER)
        await page.wait_for("document.querySelector('.empty')?.innerText.startsWith('There is no')")
        assert await page.evaluate("document.querySelector('.example').hidden")
    async with show(browser, Scene()) as (page, api):
        await page.wait_for("document.querySelector('.example')?.hidden === false")
        told = await page.evaluate("document.querySelector('.example').innerText")
        assert told.endswith(f"}}' {find_url(api, '/job')}")


@pytest.mark.thorough
async def test_what_stands_beside_the_views_passes_axe(browser: Page, guard: Guard) -> None:
    scene = Scene()
    async with show(browser, scene, guard=guard) as (page, _):
        await page.wait_for("!!document.querySelector('.login')")
        assert await audit(page) == []
    async with show(browser, scene) as (page, _):
        await page.wait_for("document.querySelector('.example')?.hidden === false")
        assert await audit(page) == []
        scene.add("unwanted")
        await page.click(".c-act button")
        await page.wait_for("!!document.querySelector('dialog[open]')")
        assert await audit(page) == []


@pytest.mark.thorough
async def test_a_window_of_1200_pixels_shows_all_of_the_top(browser: Page) -> None:
    async with show(browser, Scene()) as (page, _):
        await page.resize(1200, 700)
        await page.wait_for("document.querySelector('.empty')?.innerText.startsWith('There is no')")
        cut = """((input) => {
            const pen = document.createElement('canvas').getContext('2d');
            const style = getComputedStyle(input);
            pen.font = style.font;
            const paddings = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
            return pen.measureText(input.placeholder).width + paddings - input.clientWidth;
        })(document.querySelector('input[type=search]'))"""
        assert await page.evaluate(cut) <= 0
        strip = "innerWidth - document.querySelector('.top').getBoundingClientRect().right"
        assert await page.evaluate(strip) == 0


@pytest.mark.thorough
async def test_seven_tabs_all_stay_live(browser: Page) -> None:
    scene = Scene()
    uid = scene.add("first")
    scene.run(uid)
    scene.engine.write(uid, b"one\n")
    async with show(browser, scene, f"#/job/{uid}") as (page, api):
        others = [await browser.open_another() for _ in range(6)]
        for tab in (page, *others):
            # as if each had a window of its own: all are seen
            await tab.send("Emulation.setFocusEmulationEnabled", enabled=True)
        for other in others:
            await other.send("Page.navigate", url=find_url(api, f"/ui/#/job/{uid}"))
        for tab in (page, *others):
            await tab.wait_for(LINES, lambda found: found == ["one"])
            assert await tab.evaluate("document.hidden") is False
        scene.engine.write(uid, b"two\n")
        scene.finish(uid)
        for tab in (page, *others):
            await tab.wait_for(LINES, lambda found: found == ["one", "two"])
            await tab.wait_until_is("document.querySelector('.badge').innerText", "Succeeded")
            assert tab.complaints == []
        for other in others:
            await other.close()


@pytest.mark.parametrize(
    ("route", "selector", "scheme"),
    [
        ("#/jobs", ".jobs tbody tr", "light"),
        ("#/job/{}", ".line", "dark"),
        pytest.param("#/jobs", ".jobs tbody tr", "dark", marks=pytest.mark.thorough),
        pytest.param("#/job/{}", ".line", "light", marks=pytest.mark.thorough),
        *(
            pytest.param(route, selector, scheme, marks=pytest.mark.thorough)
            for route, selector in (("#/queues", ".queues tbody tr"), ("#/slots", ".slot"))
            for scheme in ("light", "dark")
        ),
    ],
)
async def test_a_view_passes_axe_and_fits_a_phone(
    browser: Page, route: str, selector: str, scheme: str
) -> None:
    scene = set_scene()
    route = route.format(scene.engine.get("train-resnet-fold-3").id)
    async with show(browser, scene, route) as (page, _):
        await page.set_scheme(scheme)
        await page.can("/ui/slots", 200, {"items": list_slots(scene)})
        await page.wait_for(f"!!document.querySelector('{selector}')")
        assert await audit(page) == []
        await page.resize(360, 740)
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(overflow) <= 0


async def test_a_token_is_asked_for_once(browser: Page, guard: Guard) -> None:
    scene = Scene()
    scene.add("secret")
    text = "document.querySelector('main').innerText"
    async with show(browser, scene, guard=guard) as (page, _):
        await log_in(page, "not-this-token-but-another")
        await page.wait_until_is(
            "document.querySelector('.error')?.innerText", "This token is not known."
        )
        assert "secret" not in await page.evaluate(text)
        await log_in(page, POSTER)
        await page.wait_for(
            "document.querySelector('.error')?.innerText.startsWith('This token may not read')"
        )
        await log_in(page, READER)
        await page.wait_for(ROWS, lambda rows: rows == ["secret"])
        assert await page.evaluate("document.cookie") == ""
        await page.send("Page.reload")
        await page.wait_for(ROWS, lambda rows: rows == ["secret"])
        await page.click("nav button")
        await page.wait_for("!!document.querySelector('.login')")
        assert "secret" not in await page.evaluate(text)
        # nothing is left that would show them
        await page.send("Page.reload")
        await page.wait_for("!!document.querySelector('.login')")
        # that of the wrong token: the browser itself notes every refusal
        [complaint] = page.complaints
        assert complaint.startswith(
            "Failed to load resource: the server responded with a status of 401"
        )
        page.complaints.clear()
