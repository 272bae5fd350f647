"""The page on a real engine, in a network that leads nowhere: from the POST to the collection."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.browser import browse
from tests.support.network import CutOffApi, CutOffController, cut_off
from tests.support.private_engine import IMAGE, PrivateEngine

TALKS = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done"
ROW = "document.querySelector('.jobs tbody tr')"
STATE = f"{ROW}?.querySelector('.c-state').innerText"
LINES = "[...document.querySelectorAll('.line .text')].map((text) => text.textContent)"
POST = """
    fetch('/job', {{method: 'POST', headers: {{'Content-Type': 'application/json'}}, body: {}}})
        .then((response) => response.json())
"""


async def test_a_job_is_followed_from_its_post_to_its_collection(
    private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> None:
    program = '{Name: .name, Image: "' + IMAGE + '", Cmd: ["sh", "-c", .run], StopTimeout: 1}'
    with cut_off() as network:
        options = ("--lock-dir", str(tmp_path), "-m", "2", "-k", "2", "-u", "1")
        controller = CutOffController(network, private_engine.host, namespace, *options)
        url = ("--controller-url", controller.url)
        with CutOffApi(network, private_engine.host, namespace, program, *url) as api:
            async with browse(network.pid) as page:
                await page.send("Page.navigate", url=f"{api.url}/")
                await page.wait_for(
                    "document.querySelector('.empty')?.innerText.startsWith('There is no job')"
                )
                assert await page.evaluate("location.pathname") == "/ui/"
                body = json.dumps(json.dumps({"name": f"{namespace}-talks", "run": TALKS}))
                posted = await page.evaluate(POST.format(body))
                await page.wait_until_is(STATE, "Pending")
                with controller:
                    await page.wait_until_is(STATE, "Running")
                    await page.click(".jobs tbody tr a")
                    await page.wait_for(LINES, lambda lines: len(lines) > 5)
                    assert page.complaints == []
                    api.kill()
                    await page.wait_for("document.body.classList.contains('stale')")
                    await page.wait_for(
                        "document.getElementById('notice').innerText.startsWith('The server')"
                    )
                    seen = len(await page.evaluate(LINES))
                    api.start()
                    await page.wait_for(f"{LINES}.length > {seen + 20}")
                    await page.wait_for("!document.body.classList.contains('stale')")
                    lines = await page.evaluate(LINES)
                    assert lines == [f"line {number}" for number in range(1, len(lines) + 1)]
                    page.complaints.clear()  # of the browser itself, that nothing answered
                    await page.click(".back a")
                    await page.click(".c-act button")
                    await page.click("dialog .danger")
                    await page.wait_for(STATE, lambda text: text in {"Cancelled", None})
                    await page.wait_for(f"!{ROW}")
                    await page.evaluate(f"location.hash = '#/job/{posted['uid']}'")
                    await page.wait_for(
                        "document.querySelector('.gone')?.innerText.startsWith('It has been')"
                    )
                    assert (
                        await page.evaluate("document.querySelector('.badge').innerText")
                    ) == "Cancelled"
                own = urlsplit(api.url).netloc
                assert {urlsplit(url).netloc for url in page.requests} == {own}
    assert f"{namespace}-talks" not in private_engine.names()
