"""Checks the house's rules that no other tool knows: ``python -m tests.house [FOLDER]``.

It stands with the tests because it names words that no other code may have.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_FOLDERS: Final = ("api", "controller", "hack", "manifests")
_MOST_LINES: Final = 300
_CODE: Final = frozenset((".py", ".js", ".css"))

_ADAPTER: Final = "api/engine/docker/"
_TELLING: Final = frozenset({"die", "destroy"})
_EVENT_WORDS: Final = _TELLING | frozenset(
    ("create", "start", "restart", "died", "stop", "kill", "pause", "unpause", "oom")
)
_METRICS: Final = "api/server/metrics.py"
"""May name the exported ``jobs_total{action="die"}``, in a constant of the module."""

_WORDS: Final = re.compile(
    r"(?i:gatherer|acquaintance|envelope|keyring)|(?<![A-Za-z])(?i:tally|trials)|Tally|Trials|Picture|\bHolds\b"
)
_PORT: Final = re.compile(r"\bthe port\b")
"""Means the Engine interface in these folders, and a TCP port everywhere else."""
_PORT_FOLDERS: Final = ("api/engine/", "api/informer/")

_CONTRACT: Final = ("api.v1",)
_PLANNER: Final = tuple(
    f"controller.{name}"
    for name in (
        "planner",
        "plan",
        "policy",
        "ledger",
        "job_index",
        "queue_index",
        "deadlines",
        "place",
        "scene",
        "choice",
        "endings",
        "waits",
    )
)
_MAY_IMPORT: Final = (
    # the modules, and what they may import beside the standard library
    (_CONTRACT, _CONTRACT),
    (_PLANNER, (*_CONTRACT, *_PLANNER, "sortedcontainers")),
)


def main() -> None:
    """Print every breach below the folder that is given, and fail if there is one."""
    root = Path(sys.argv[1] if sys.argv[1:] else ".")
    if breaches := [*find_breaches(root)]:
        sys.exit("\n".join(breaches))


def find_breaches(root: Path) -> Iterator[str]:
    """Yield a line for each breach: the place and the rule."""
    for path in sorted(p for folder in _FOLDERS for p in (root / folder).rglob("*")):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        name, text = path.relative_to(root).as_posix(), path.read_text(errors="replace")
        yield from _check_words(name, text)
        lines = text.count("\n")
        if path.suffix in _CODE and lines > _MOST_LINES:
            yield f"{name}: {lines} lines, {_MOST_LINES} are allowed"
        if path.suffix == ".py":
            tree = ast.parse(text, name)
            yield from _check_literals(name, tree)
            yield from _check_imports(name, tree)


def _check_words(name: str, text: str) -> Iterator[str]:
    speaks_of_ports = name.startswith(_PORT_FOLDERS)
    for number, line in enumerate(text.splitlines(), 1):
        found = _WORDS.search(line) or (_PORT.search(line) if speaks_of_ports else None)
        if found:
            yield f"{name}:{number}: the word {found[0]!r}"


def _check_literals(name: str, tree: ast.Module) -> Iterator[str]:
    """Yield what names an event of Docker's, or its library, outside the adapter."""
    if name.startswith(_ADAPTER):
        return
    allowed = {id(node.value) for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str | bytes):
            continue
        if name == _METRICS and id(node) in allowed:
            continue
        value = node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
        words = set(re.findall(r"\w+", value.lower()))
        if words & _TELLING and words <= _EVENT_WORDS:
            yield f"{name}:{node.lineno}: Docker's event word {value!r} above {_ADAPTER}"
        if value.partition(".")[0] == "aiodocker":
            yield f"{name}:{node.lineno}: {value!r} above {_ADAPTER}"


def _check_imports(name: str, tree: ast.Module) -> Iterator[str]:
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for modules, beside in _MAY_IMPORT:
        if not _lies_in(module, modules):
            continue
        allowed = (*beside, *sys.stdlib_module_names)
        for node in ast.walk(tree):
            for imported in _list_imports(node, name):
                if not any(_lies_in(candidate, allowed) for candidate in imported):
                    line = getattr(node, "lineno", 0)
                    yield f"{name}:{line}: imports {imported[0]}, may import {', '.join(beside)}"


def _list_imports(node: ast.AST, name: str) -> Iterator[tuple[str, ...]]:
    """Yield each thing that ``node`` imports: its name, and the module it may be part of."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.name,)
    elif isinstance(node, ast.ImportFrom):
        above = name.split("/")[: -node.level] if node.level else []
        module = ".".join([*above, *filter(None, [node.module])])
        for alias in node.names:
            yield f"{module}.{alias.name}", module


def _lies_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


if __name__ == "__main__":
    main()
