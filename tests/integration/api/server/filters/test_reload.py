"""Filter configs change under load: every request sees one whole generation, old or new."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from api.config.faults import ConfigError
from api.server.filters.generation import Generation
from api.server.filters.hooks import FilterHooks
from api.server.filters.service import Filters, from_options
from api.server.filters.workers.limits import FilterLimits
from api.server.filters.workers.start import WorkerStartError
from api.server.http.problem import Problem
from tests.support.filter_configs import config

INTERVAL = 0.02
RELOADS = int(os.environ.get("FILTER_RELOADS", "8"))
"""How many changes the test under load makes; a longer run may ask for more."""


class Listener(FilterHooks):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.reloads: list[tuple[int, str | None]] = []

    def on_reload(self, generation: int, error: str | None) -> None:
        self.reloads.append((generation, error))


def texts(version: str) -> dict[str, str]:
    """Return two files of one version: each filter's program, variable and rule name it."""
    return {
        f"{name}.yaml": config(
            name,
            f"/job/{name}",
            f'  env: {{E: "{version}"}}\n'
            f"  rules: [{{expression: '.v == \"{version}\"', message: mixture}}]\n",
            f'{{v: "{version}", e: env.E, n: "{name}"}}',
        )
        for name in ("a", "b")
    }


def point(folder: Path, version: str, files: dict[str, str]) -> None:
    """Replace all files at once, as a mounted config map is replaced."""
    (folder / f"..{version}").mkdir()
    for name, text in files.items():
        (folder / f"..{version}" / name).write_text(text)
        if not (folder / name).is_symlink():
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(Path("..data") / name)
    old = (folder / "..data").readlink() if (folder / "..data").is_symlink() else None
    (folder / "..next").symlink_to(f"..{version}")
    (folder / "..next").replace(folder / "..data")
    if old is not None:
        shutil.rmtree(folder / old)


@asynccontextmanager
async def serve(path: Path) -> AsyncIterator[tuple[Filters, Listener]]:
    listener = Listener()
    filters = from_options(
        filter_source=None,
        from_file=str(path),
        filter_env=(),
        environ={},
        interval=INTERVAL,
        limits=FilterLimits(size=2, deadline=60, slow_after=60),
        hooks=listener,
    )
    await filters.start()
    try:
        yield filters, listener
    finally:
        await filters.close()


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(INTERVAL / 4)


async def render(filters: Filters, path: str = "/job/a") -> object:
    return (await filters.render(path, {})).manifest


async def post(filters: Filters, until: asyncio.Event) -> int:
    """Post to both filters until the event; every answer is of one version."""
    count = 0
    while not until.is_set():
        for name in ("a", "b"):
            manifest = await render(filters, f"/job/{name}")
            assert isinstance(manifest, dict)
            assert manifest["v"] == manifest["e"], manifest
            assert manifest["n"] == name
            count += 1
        await asyncio.sleep(0.001)
    return count


def change(folder: Path, number: int, version: str) -> bool:
    """Make one change; return whether it is a good one."""
    files = texts(version)
    match number % 8:
        case 0 | 4:
            point(folder, version, files)
        case 1:
            # half a file, as a writer leaves it that is killed
            point(folder, version, {**files, "b.yaml": files["b.yaml"][: -20 - number % 7]})
            return False
        case 2:
            # programs that do not compile
            point(folder, version, {**files, "a.yaml": files["a.yaml"].replace("env.E", "env.E +")})
            return False
        case 3 | 7:
            for name, text in files.items():
                (folder / f".{name}.new").write_text(text)
            for name in files:
                (folder / f".{name}.new").replace(folder / name)
        case 5:
            for name in files:
                (folder / name).unlink()
            return False
        case 6:
            point(
                folder, version, {**files, "b.yaml": files["b.yaml"].replace("name: b", "name: a")}
            )
            return False
    return True


@pytest.mark.timeout(60 + 3 * RELOADS)
async def test_no_request_fails_or_sees_a_mixture_while_configs_change(tmp_path: Path) -> None:
    """By rename, symlink swap, partial write, deletion, syntax error and clash of names."""
    point(tmp_path, "v", texts("v"))
    async with serve(tmp_path) as (filters, listener):
        until = asyncio.Event()
        served, refused = "v", 0
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(post(filters, until)) for _ in range(3)]
            for number in range(RELOADS):
                version = f"v{number}"
                generation, told = filters.status.generation, len(listener.reloads)
                good = change(tmp_path, number, version)
                if good:
                    await wait_for(lambda g=generation: filters.status.generation > g)  # type: ignore[misc]
                    served = version
                    assert filters.status.error is None
                else:
                    await wait_for(lambda t=told: len(listener.reloads) > t)  # type: ignore[misc]
                    assert filters.status.error is not None
                    assert filters.status.generation == generation
                    refused += 1
                assert await render(filters) == {"v": served, "e": served, "n": "a"}
            until.set()
        assert all(client.result() > 0 for client in clients)
        assert refused == sum(n % 8 in (1, 2, 5, 6) for n in range(RELOADS))
        # each bad change was told once, however often it was looked at
        assert sum(error is not None for _, error in listener.reloads) == refused


async def test_files_written_one_by_one_are_each_taken_whole(tmp_path: Path) -> None:
    """A rename of one file after the other shows both generations, never half a file."""
    for name, text in texts("one").items():
        (tmp_path / name).write_text(text)
    async with serve(tmp_path) as (filters, _):
        for name, text in texts("two").items():
            with (tmp_path / name).open("w") as file:
                for line in text.splitlines(keepends=True):
                    file.write(line)
                    file.flush()
                    assert (await filters.render("/job/a", {})).manifest
                    await asyncio.sleep(INTERVAL / 4)
        await wait_for(lambda: filters.status.error is None and filters.status.generation > 1)
        async with asyncio.timeout(30):
            while await render(filters, "/job/b") != {"v": "two", "e": "two", "n": "b"}:
                await asyncio.sleep(INTERVAL)


async def test_a_removed_file_removes_its_filters_and_the_last_one_is_missed(
    tmp_path: Path,
) -> None:
    for name, text in texts("one").items():
        (tmp_path / name).write_text(text)
    async with serve(tmp_path) as (filters, listener):
        (tmp_path / "b.yaml").unlink()
        await wait_for(lambda: filters.status.generation == 2)
        with pytest.raises(Problem, match="no filter serves /job/b") as caught:
            await render(filters, "/job/b")
        assert (caught.value.code, caught.value.reason) == (404, "NoFilter")
        (tmp_path / "a.yaml").unlink()
        await wait_for(lambda: filters.status.error is not None)
        assert await render(filters)
        shutil.rmtree(tmp_path)
        await wait_for(lambda: "No such file" in str(filters.status.error))
        assert await render(filters)
        assert filters.status.generation == 2
        tmp_path.mkdir()
        (tmp_path / "a.yaml").write_text(texts("one")["a.yaml"])
        await wait_for(lambda: filters.status.error is None)
        # it is what is served already
        assert listener.reloads[-1] == (2, None)


async def test_a_single_file_is_watched_too_also_if_it_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "f.jq"
    file.write_text("1")
    async with serve(file) as (filters, _):
        for number in range(2, 6):
            (tmp_path / "new").write_text(f"{number}")
            (tmp_path / "new").replace(file)
            await wait_for(lambda n=number: filters.status.generation == n)  # type: ignore[misc]
            assert await render(filters, "/job/any/path") == number


async def test_a_bad_change_names_its_fault_until_it_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(config(jq="1"))
    async with serve(tmp_path) as (filters, listener):
        file.write_text(config(jq="1 | nosuch"))
        await wait_for(lambda: filters.status.error is not None)
        assert f"{file}:6: document 1: spec.filter: jq line 1" in str(filters.status.error)
        assert await render(filters, "/job") == 1
        file.write_text(config(jq="2"))
        await wait_for(lambda: filters.status.error is None)
        assert await render(filters, "/job") == 2
        assert [error is None for _, error in listener.reloads] == [False, True]


async def test_workers_that_do_not_start_are_tried_again_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing says that the configs are at fault, so they are not given up."""
    file = tmp_path / "f.yaml"
    file.write_text(config(jq="1"))
    tries = 0

    async def fail(_: object) -> None:
        nonlocal tries
        tries += 1
        raise WorkerStartError("no process to be had")

    async with serve(tmp_path) as (filters, listener):
        with monkeypatch.context() as patch:
            patch.setattr(Generation, "start", fail)
            file.write_text(config(jq="2"))
            await wait_for(lambda: tries >= 3)
            assert filters.status.error == "no process to be had"
            assert await render(filters, "/job") == 1
        await wait_for(lambda: filters.status.generation == 2)
        assert await render(filters, "/job") == 2
        assert listener.reloads == [(1, "no process to be had"), (2, None)]

        tries = 0
        with monkeypatch.context() as patch:
            patch.setattr(Generation, "start", fail)
            file.write_text(config(jq="3"))
            await wait_for(lambda: tries >= 1)
            # the operator takes the change back
            file.write_text(config(jq="2"))
            await wait_for(lambda: filters.status.error is None)


async def test_a_request_that_has_begun_ends_in_its_generation(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    work = "[limit(100000; repeat(1))] | length"
    file.write_text(config(jq=f"{work} | 1"))
    async with serve(tmp_path) as (filters, _):
        calls = [asyncio.create_task(render(filters, "/job")) for _ in range(3)]
        await asyncio.sleep(0)
        file.write_text(config(jq="2"))
        await wait_for(lambda: filters.status.generation == 2)
        assert await render(filters, "/job") == 2
        assert await asyncio.gather(*calls) == [1] * 3


async def test_a_bad_config_at_start_is_fatal_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(config(jq="nosuch"))
    with pytest.raises(ConfigError, match="nosuch/0 is not defined"):
        from_options(filter_source=None, from_file=str(tmp_path), filter_env=(), environ={})
