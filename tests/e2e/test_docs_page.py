"""The page at /docs in a real browser, in a network namespace that leads nowhere."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.server.docs import openapi
from tests.support.browser import Page, browse
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess
from tests.support.waiting import wait_until

POST_JOB = "#operations-jobs-postJob"
OUTPUT = Path(__file__).parents[2] / ".run" / "docs-page.png"


class CutOffApi(ApiProcess):
    """The API in a network namespace with a loopback device and nothing else."""

    def command(self) -> list[str]:
        """Return its command line."""
        inside = 'ip link set lo up && exec "$@"'
        return ["unshare", "--net", "sh", "-c", inside, "sh", *super().command()]

    def wait_until_live(self) -> None:
        """Wait until it says so: nobody outside can ask it."""
        wait_until(lambda: self.events("serving") or not self.is_running, "the API serves")


@pytest.fixture
def api(private_engine: PrivateEngine, namespace: str) -> Iterator[CutOffApi]:
    with CutOffApi(private_engine.host, namespace, env={"JOB_IMAGE": IMAGE}) as process:
        yield process


async def test_docs_shows_every_route_and_posts_the_example_without_a_network(
    api: CutOffApi, private_engine: PrivateEngine
) -> None:
    async with browse(api.pid) as page:
        await page.send("Page.navigate", url=f"{api.url}/docs")
        shown = await page.wait_for(LIST_ROUTES, lambda found: len(found) >= len(ROUTES))
        assert {(method.lower(), path) for method, path in shown} == ROUTES
        posted = await post_example(page)
        OUTPUT.parent.mkdir(exist_ok=True)
        await page.save_screenshot(OUTPUT, whole=True)
        sys.stdout.write(f"screenshot: {OUTPUT}\n")
        requests = list(page.requests)
        complaints = list(page.complaints)
    container = private_engine.inspect(posted["id"])
    private_engine.docker("rm", "-v", posted["id"])
    assert container["Id"] == posted["uid"]
    assert container["State"]["Status"] == "created"
    assert container["Config"]["Cmd"] == ["Hello", "world!"]
    asked = [urlsplit(url) for url in requests]
    assert {"/docs", "/openapi.json", "/job"} <= {url.path for url in asked}
    elsewhere = {url.netloc for url in asked if url.scheme != "data"} - {urlsplit(api.url).netloc}
    assert elsewhere == set()
    assert complaints == []
    assert OUTPUT.stat().st_size > 50_000


async def post_example(page: Page) -> dict[str, str]:
    """Open ``POST /job``, send the example as it stands, and return the answer that is shown."""
    for part in (".opblock-summary-control", ".try-out__btn"):
        await page.click(f"{POST_JOB} {part}")
    await page.wait_for(f"document.querySelector('{POST_JOB} textarea')?.value")
    await page.click(f"{POST_JOB} .execute")
    shown = f"document.querySelector('{POST_JOB} .live-responses-table tbody .response-col"
    assert (await page.wait_for(f"{shown}_status')?.innerText")).startswith("201")
    answer: dict[str, str] = json.loads(await page.evaluate(f"{shown}_description pre').innerText"))
    return answer


ROUTES = {
    (method, path)
    for path, item in openapi.load()["paths"].items()
    for method in item
    if method in {"get", "post", "delete"}
}
LIST_ROUTES = """
    [...document.querySelectorAll('.opblock-summary')].map(block => [
        block.querySelector('.opblock-summary-method').innerText,
        block.querySelector('[data-path]').dataset.path,
    ])
"""
