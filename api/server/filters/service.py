"""The filters of the API process: documents in, manifests out, reloaded while that goes on."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from api.config.faults import ConfigError, ConfigFault
from api.config.source import SourceFile, SourceSnapshot, read_source
from api.config.watch import INTERVAL, SourceWatch
from api.server.filters.builtin import VARIABLES, read_default
from api.server.filters.catalog import FilterCatalog, FilterEntry, build_catalog, read_catalog
from api.server.filters.config import ConflictPolicy, PullPolicy, wrap
from api.server.filters.generation import Generation, Rendered
from api.server.filters.hooks import FilterHooks
from api.server.filters.workers.compile import VerifyError, compile_specs
from api.server.filters.workers.limits import FilterLimits
from api.server.filters.workers.pool import PoolStatus
from api.server.filters.workers.start import CompileFailedError, WorkerStartError

__all__ = ["ConflictPolicy", "Filters", "FiltersStatus", "PullPolicy", "Rendered", "from_options"]

_log = structlog.get_logger(__name__)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PREFIX = "JOB_"
_MAX_FAULTS = 100


@dataclass(frozen=True, slots=True)
class FiltersStatus:
    """For readiness and metrics.

    The serving generation's number (from 1), why the newest change was refused (or None), and
    what the workers do.
    """

    generation: int
    error: str | None
    workers: PoolStatus


class Filters:
    """A catalog in service, and the watch over where it came from (``path``, or None)."""

    def __init__(
        self,
        catalog: FilterCatalog,
        environment: Mapping[str, str],
        *,
        path: Path | None = None,
        served: str = "",
        limits: FilterLimits | None = None,
        interval: float = INTERVAL,
        hooks: FilterHooks | None = None,
    ) -> None:
        self._environment = dict(environment)
        self._path = path
        self._limits = limits or FilterLimits()
        self._interval = interval
        self._hooks = hooks or FilterHooks()
        self._generation = self._prepare(1, catalog)
        self._watch = SourceWatch(
            "filter configs",
            self._apply,
            served=served,
            get_generation=lambda: self._generation.number,
            on_reload=self._hooks.on_reload,
            # nothing says the configs are at fault
            passing=(WorkerStartError, OSError),
        )
        self._watching: asyncio.Task[None] | None = None
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def status(self) -> FiltersStatus:
        """What serves now and what was last refused."""
        return FiltersStatus(self._generation.number, self._watch.error, self._generation.status)

    async def start(self) -> None:
        """Start the workers, and the watch over the source; raise ``ConfigError`` on failure."""
        try:
            await self._generation.start()
        except (WorkerStartError, CompileFailedError) as error:
            raise ConfigError([ConfigFault("filter workers", str(error))]) from error
        if self._path is not None:
            self._watching = asyncio.create_task(self._watch.keep(self._path, self._interval))

    async def close(self) -> None:
        """Stop watching, let renderings in flight end (2 s at most), end the workers."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.gather(self._generation.close(), *self._draining)

    async def render(self, path: str, document: object) -> Rendered:
        """Return what the filter for ``path`` makes of ``document``.

        ``path`` is the percent-decoded request path without a trailing slash, ``document`` a
        JSON value as ``json_body.parse`` returns it. Raises ``Problem``: 404 ``NoFilter``;
        400 ``FilterFailed``, ``FilterTimeout``, ``NoManifest``, ``ManyManifests``,
        ``SchemaViolation``; 403 ``RuleViolation``; with Retry-After 429 ``TooManySlowFilters`` and
        503 ``FilterBusy``.
        """
        return await self._generation.render(path, document)

    def _prepare(self, number: int, catalog: FilterCatalog) -> Generation:
        return Generation(number, catalog, self._environment, self._limits, self._hooks)

    async def _apply(self, seen: SourceSnapshot) -> bool:
        catalog = await asyncio.to_thread(validate, seen.files, self._environment)
        generation = self._prepare(self._generation.number + 1, catalog)
        try:
            await generation.start()
        except CompileFailedError as error:
            raise ConfigError(catalog.explain(error.faults)) from error
        old, self._generation = self._generation, generation
        closing = asyncio.create_task(old.close())
        self._draining.add(closing)
        closing.add_done_callback(self._draining.discard)
        _log.info(
            "filter configs reloaded",
            generation=generation.number,
            filters=[e.config.metadata.name for e in catalog.entries],
        )
        return True


def from_options(
    *,
    filter_source: str | None,
    from_file: str | None,
    filter_env: Sequence[str],
    environ: Mapping[str, str],
    limits: FilterLimits | None = None,
    interval: float = INTERVAL,
    hooks: FilterHooks | None = None,
) -> Filters:
    """Return the filters that the command line asks for, compiled once to see that they can be.

    ``filter_source`` is a jq program, ``from_file`` a jq file, a YAML file, or a directory of
    YAML files; with neither, the built-in filter serves. Filters see the variables of
    ``environ`` that begin with ``JOB_`` and those named in ``filter_env``. Raises
    ``ConfigError`` that names every fault.
    """
    environment = select_environment(environ, filter_env)
    catalog: FilterCatalog
    path, served = None, ""
    if filter_source is not None and from_file is not None:
        raise ConfigError([ConfigFault("FILTER", "give either a filter or a file of filters")])
    if from_file is not None:
        path = Path(from_file)
        seen = read_source(path)
        catalog, served = validate(seen.files, environment), seen.fingerprint
    else:
        if filter_source is None:
            entry = FilterEntry(wrap("default", read_default(), VARIABLES), "the built-in filter")
        elif filter_source:
            entry = FilterEntry(wrap("inline", filter_source), "FILTER")
        else:
            raise ConfigError([ConfigFault("FILTER", "the program is empty")])
        catalog = _compile(build_catalog([entry])[0], environment)
    return Filters(
        catalog,
        environment,
        path=path,
        served=served,
        limits=limits,
        interval=interval,
        hooks=hooks,
    )


def select_environment(environ: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return the part of ``environ`` that filters may see; raise ``ConfigError`` for a bad name."""
    for name in names:
        if not _VARIABLE.fullmatch(name):
            raise ConfigError([ConfigFault("--filter-env", f"{name!r} is not a variable's name")])
    return {
        key: value.encode(errors="surrogateescape").decode(errors="replace")
        for key, value in environ.items()
        if key.startswith(_PREFIX) or key in names
    }


def validate(files: Sequence[SourceFile], environment: Mapping[str, str]) -> FilterCatalog:
    """Return the catalog of ``files``, compiled once by a process of its own.

    Raises ``ConfigError`` that names every fault. Blocks for some 50 ms.
    """
    catalog, faults = read_catalog(files)
    return _compile(catalog, environment, faults)


def _compile(
    catalog: FilterCatalog, environment: Mapping[str, str], faults: Sequence[ConfigFault] = ()
) -> FilterCatalog:
    """Return ``catalog`` unless it or ``faults`` has a fault; jq's are looked for in any case."""
    found = [*faults, *catalog.check_variables(environment)]
    try:
        found += catalog.explain(compile_specs(catalog.specify(environment)))
    except VerifyError as error:
        found.append(ConfigFault("filters", str(error)))
    if found:
        found.sort(key=lambda fault: (fault.file, fault.line or 0))
        raise ConfigError(found[:_MAX_FAULTS])
    return catalog
