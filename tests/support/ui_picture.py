"""Pictures of the page: the README's, or every view in three widths, light and dark.

``python -m tests.support.ui_picture FILE`` makes the one, ``… --all FOLDER`` all of them.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.browser import Page, browse
from tests.support.ui import Scene, find_url
from tests.support.ui_scene import QUEUES, list_slots, set_scene

_SESSION: Final = {"required": True, "name": "ops", "scopes": ["read", "post"], "paths": None}
_IS_GOOD: Final = (
    "document.querySelectorAll('.pill[data-state=good]').length === 3"
    " && ![...document.querySelectorAll('tr:not([data-phase=Pending]) .c-time')]"
    ".some((cell) => !cell.innerText)"
    " && document.querySelectorAll('{}').length > {}"
)


def main() -> None:
    """Do what the arguments say."""
    match sys.argv[1:]:
        case ["--all", folder]:
            asyncio.run(take_all(Path(folder)))
        case [file]:
            asyncio.run(take_one(Path(file)))
        case _:
            sys.exit(__doc__)


async def take_one(file: Path) -> None:
    """Take the README's."""
    async with open_page(set_scene()) as (page, url):
        await page.resize(1280, 680)
        await go(page, url, "#/jobs", _IS_GOOD.format(".c-time:not(:empty)", 8))
        await page.save_screenshot(file)


async def take_all(folder: Path) -> None:
    """Take every view in three widths, light and dark; say where one is wider than its window."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = set_scene()
    engine = scene.engine
    train = engine.get("train-resnet-fold-3").id
    failed = [name for name in engine.names() if engine.get(name).exit_code == 137][-1]
    views = {
        "jobs": ("#/jobs", _IS_GOOD.format(".c-time:not(:empty)", 8)),
        "job": (f"#/job/{train}", _IS_GOOD.format(".line", 20)),
        "failed": (f"#/job/{engine.get(failed).id}", _IS_GOOD.format(".line", 3)),
        "queues": ("#/queues", _IS_GOOD.format(".queues tbody tr", 3)),
        "slots": ("#/slots", _IS_GOOD.format(".slot", 9)),
        "dialog": (f"#/job/{train}", _IS_GOOD.format(".head .danger", 0)),
        "login": ("#/jobs", "!!document.querySelector('.login')"),
    }
    async with open_page(scene) as (page, url):
        for width, height in ((360, 740), (800, 900), (1440, 900)):
            for scheme in ("light", "dark"):
                await page.resize(width, height)
                await page.set_scheme(scheme)
                for name, (route, is_ready) in views.items():
                    nobody = _SESSION | {"required": True, "name": None, "scopes": []}
                    session = nobody if name == "login" else _SESSION
                    await page.can("/ui/session", 200, session)
                    await go(page, url, route, is_ready)
                    if name == "dialog":
                        await page.click(".head .danger")
                        await page.wait_for("!!document.querySelector('dialog[open]')")
                    await page.save_screenshot(folder / f"{name}-{width}-{scheme}.png")
                    found = await page.evaluate("document.documentElement.scrollWidth")
                    if found > width:
                        sys.stdout.write(f"{name} is {found} wide in {width}\n")


async def go(page: Page, url: str, route: str, is_ready: str) -> None:
    """Load a view, and wait until it is whole."""
    await page.send("Page.navigate", url="about:blank")
    await page.send("Page.navigate", url=f"{url}{route}")
    await page.wait_for(is_ready)


@asynccontextmanager
async def open_page(scene: Scene) -> AsyncIterator[tuple[Page, str]]:
    """Serve a scene and open a browser."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "queues.yaml").write_text(QUEUES)
        async with (
            scene.serve(queues=Path(folder)) as api,
            browse(os.getpid()) as page,
        ):
            await page.can("/ui/session", 200, _SESSION)
            await page.can("/ui/slots", 200, {"items": list_slots(scene)})
            yield page, find_url(api)


if __name__ == "__main__":
    main()
