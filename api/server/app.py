"""Assembles the application: what serves requests, and what starts and ends with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

from aiohttp import web

from api.config.queue_source import QueueSource
from api.engine.instrumented import InstrumentedEngine
from api.engine.interface import Engine, Event
from api.informer.informer import Informer
from api.informer.pace import Pace
from api.informer.resync import ResyncBudget
from api.server.cancel_handlers import CancelHandlers
from api.server.filters.service import Filters
from api.server.handlers import Handlers
from api.server.http.drain import Drain
from api.server.http.json_body import MAX_BODY
from api.server.http.route import add_routes
from api.server.images.cache import ImageCache
from api.server.images.pulls import Pulls
from api.server.job_handlers import JobHandlers
from api.server.jobs.backlog import Backlog
from api.server.jobs.canceller import Canceller
from api.server.jobs.collected import Collected
from api.server.jobs.counter import JobCounter
from api.server.jobs.details import Details
from api.server.jobs.index import Change, JobIndex
from api.server.jobs.listeners import Listeners
from api.server.jobs.lookup import Jobs
from api.server.jobs.queues import Queues
from api.server.jobs.recorder import Recorder
from api.server.jobs.slots import Slots
from api.server.jobs.waiting import Waiting
from api.server.jobs.wakers import Wakers
from api.server.logs.handler import LogHandler
from api.server.metrics import ApiMetrics
from api.server.middleware import RequestMiddleware
from api.server.plan_client import PlanClient
from api.server.queue_handlers import QueueHandlers
from api.server.readiness import Readiness
from api.server.routes import list_routes
from api.server.settings import Settings
from api.server.slot_handlers import SlotHandlers
from api.server.watch.log import EventLog
from api.server.watch.render import Renderer
from api.server.watchers import Watchers

# The API only counts jobs: it may read later and less often than the controller, which acts.
_TICK: Final = 3.0
_DELAY: Final = 0.5
_GAP: Final = 0.25
_SHARE: Final = 0.001
_LONGEST: Final = 600.0


def make_app(
    engine: Engine,
    filters: Filters,
    settings: Settings,
    *,
    metrics: ApiMetrics,
    queues: QueueSource | None = None,
) -> web.Application:
    """Return the application; it starts and closes ``engine``, ``filters`` and ``queues``.

    ``Guard.protect`` appends itself to its middlewares. Starting the application raises
    ``ConfigError`` if the filters cannot be started; it does start without an engine.
    """
    engine = InstrumentedEngine(engine, metrics.on_call)
    counter = JobCounter(metrics.on_job, metrics.on_lost, now=engine.now)
    source = queues or QueueSource(None)
    known_queues = Queues(lambda: source.queues)
    backlog = Backlog(settings.max_pending, known_queues)
    index, collected = JobIndex(engine.now), Collected()
    index.tell_phase = backlog.on_phase
    waiting, wakers = Waiting(collected), Wakers()
    slots = Slots(collected, engine.now)

    def on_event(event: Event) -> None:
        counter.on_event(event)
        collected.on_event(event)
        waiting.on_event(event)

    pace = Pace(_GAP, lambda: not watchers.is_empty)
    watchers = Watchers(
        settings.max_watchers, settings.max_connections, hasten(pace, metrics.on_watchers)
    )
    informer = Informer(
        engine,
        Listeners(collected, index, waiting, wakers, counter, slots),
        interval=_TICK,
        on_event=on_event,
        budget=ResyncBudget(cheap_share=_SHARE, full_share=_SHARE, longest=_LONGEST),
        delay=_DELAY,
        pause=pace.pause,
    )
    metrics.watch(informer)
    jobs = Jobs(engine, informer.store, informer.catch_up)
    index.attach(informer)
    collected.attach(informer.store)
    waiting.attach(informer, jobs)
    details = Details(informer.reflector.inspect)
    renderer = Renderer(index, collected)
    log = EventLog(renderer.render)

    def tell(change: Change) -> None:
        log.add(change)
        if log.has_readers:
            # a list does not show when a job began and ended, and somebody follows
            details.request(change.new)

    index.tell = tell
    pulls = Pulls(engine, settings.pulling, metrics)
    recorder = Recorder(
        engine,
        filters,
        settings,
        jobs=jobs,
        pulls=pulls,
        images=ImageCache(engine),
        backlog=backlog,
        queues=known_queues,
        health=informer.health,
        metrics=metrics,
    )
    plan = PlanClient(settings.controller_url)
    shows = JobHandlers(
        engine,
        jobs,
        index,
        details,
        collected,
        counter,
        waiting,
        watchers,
        log,
        renderer,
        metrics,
        plan,
    )
    handlers = Handlers(
        filters,
        recorder,
        shows,
        CancelHandlers(
            shows,
            Canceller(engine, informer.store, informer.marks, metrics.on_cancel),
            informer.health,
        ),
        QueueHandlers(index, known_queues, engine.now),
        SlotHandlers(index, slots, engine.now),
        metrics,
        informer,
        Readiness(engine, lambda: backlog.size, lambda: informer.engine_status.is_up),
    )

    async def run_filters(_app: web.Application) -> AsyncIterator[None]:
        await filters.start()
        yield
        await filters.close()

    async def run_informer(_app: web.Application) -> AsyncIterator[None]:
        async with keep_running(informer.run()), keep_running(source.keep()):
            yield
        await details.close()

    app = web.Application(client_max_size=MAX_BODY)
    RequestMiddleware(metrics, pace.flush).install(app)
    Drain().install(app)
    logs = LogHandler(engine, informer.store, wakers, watchers, shows.find_job, index.view)
    add_routes(app, list_routes(handlers, logs))
    app.on_shutdown.extend([waiting.end, log.end])
    app.cleanup_ctx.extend(
        [closing(engine), closing(pulls), closing(plan), run_filters, run_informer]
    )
    return app


def hasten(pace: Pace, count: Callable[[str, int], None]) -> Callable[[str, int], None]:
    """Return ``count`` as it is told of who waits or follows: for them a pause ends at once."""

    def on_change(kind: str, number: int) -> None:
        count(kind, number)
        pace.hurry()

    return on_change


class Closable(Protocol):
    """What is closed when service ends."""

    async def close(self) -> None:
        """End what it has begun."""


def closing(thing: Closable) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return what closes ``thing`` when the application ends."""

    async def run(_app: web.Application) -> AsyncIterator[None]:
        yield
        await thing.close()

    return run


@asynccontextmanager
async def keep_running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run ``work`` beside the block, and end it with the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
