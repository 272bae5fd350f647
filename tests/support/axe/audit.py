"""Asks axe-core, in the page that a browser shows, what keeps people from using it."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tests.support.browser import Page

SOURCE: Final = Path(__file__).with_name("axe.min.js")
VERSION: Final = "4.14.1"
"""Of axe-core at the npm registry, where the file is ``package/axe.min.js``."""
SHA256: Final = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


async def audit(page: Page, rules: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the violations of ``rules`` (by default all) that are serious or critical."""
    if not await page.evaluate("typeof axe === 'object'"):
        # the page's policy forbids scripts of others; what a debugger evaluates is no such script
        await page.evaluate(read_source() + ";undefined")
    only = f"{{runOnly: {list(rules)}}}" if rules else "{}"
    found = await page.evaluate(
        f"axe.run(document, {only}).then((result) => result.violations.map((each) => "
        "({id: each.id, impact: each.impact,"
        " nodes: each.nodes.map((node) => [node.html, node.failureSummary])})))"
    )
    return [each for each in found if each["impact"] in {"serious", "critical"}]


def read_source() -> str:
    """Return the program, if it is the one that was published."""
    data = SOURCE.read_bytes()
    if sha256(data).hexdigest() != SHA256:
        raise ValueError(f"{SOURCE} is not axe-core {VERSION}")
    return data.decode()
