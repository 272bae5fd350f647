"""The controller's own small HTTP port: is it alive, is it ready, what does it plan and count."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from api.http.connection import answering
from api.http.limits import ClientLimits
from api.http.listening import ListenError, listen
from api.http.origins import check_names, choose_hosts
from api.http.refusal import answer_plainly
from api.runtime.metrics import expose
from api.runtime.version import VERSION
from controller.holders import list_holds
from controller.metrics import Metrics
from controller.plan_view import view_job_plan, view_plan, word_job_plan
from controller.reconciler import Reconciler
from controller.scene import count_used

_RETRY: Final = 1.0
_MOST_EXPLAINED: Final = 1000
_LIMITS: Final = ClientLimits(connections=128)
_PAUSE: Final = 9
"""Times as long as a plan or the metrics took to write, none is written: jobs come first."""
_log = structlog.get_logger(__name__)


class Pace:
    """Lets one at a time write, for a tenth of the time: however many ask, jobs are started."""

    def __init__(self) -> None:
        self._writing = asyncio.Lock()
        self._free_at = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn to write."""
        loop = asyncio.get_running_loop()
        async with self._writing:
            await asyncio.sleep(self._free_at - loop.time())
            began = loop.time()
            try:
                yield
            finally:
                self._free_at = loop.time() + _PAUSE * (loop.time() - began)


class Probes:
    """Answers from the state of ``reconciler``; it never asks the engine."""

    def __init__(self, reconciler: Reconciler, metrics: Metrics) -> None:
        self._reconciler = reconciler
        self._metrics = metrics
        self._pace, self._job_pace = Pace(), Pace()

    async def serve(self, host: str, port: int, further: Iterable[str] = ()) -> None:
        """Serve until cancelled, to requests for ``host``, loopback and the ``further`` hosts.

        A port in use is waited for: a standby may run beside.
        """
        hosts = choose_hosts(host, further)

        @web.middleware
        async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
            with answering(request) as connection:
                refusal = check_names(request, hosts)
                if refusal is None:
                    return await handler(request)
                if connection is not None:
                    connection.refuse()
                return answer_plainly(refusal, "")

        reported = False
        while True:
            app = self.make_app()
            app.middlewares.append(admit)
            try:
                async with listen(app, _LIMITS, host, port):
                    _log.info("health port open", host=host, port=port)
                    await asyncio.get_running_loop().create_future()
            except ListenError as error:
                if not reported:
                    _log.warning("health port cannot be had yet", port=port, error=str(error))
                reported = True
                await asyncio.sleep(_RETRY)

    def make_app(self) -> web.Application:
        """Return what answers on the port."""
        app = web.Application()
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._ready)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/plan", self._show_plan)
        app.router.add_get("/plan/{ref}", self._show_job)
        return app

    async def _live(self, _request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _ready(self, request: web.Request) -> web.Response:
        engine_status = self._reconciler.informer.engine_status
        if "verbose" not in request.query:
            return web.Response(status=204 if engine_status.is_up else 503)
        info = engine_status.info
        body = {
            "ready": engine_status.is_up,
            "version": VERSION,
            "role": self._reconciler.role,
            "engine": {
                "up": engine_status.is_up,
                "error": engine_status.error,
                "version": None if info is None else info.version,
                "apiVersion": None if info is None else ".".join(map(str, info.api_version)),
            },
            "lastPass": self._metrics.last_pass,
            "backlog": self._reconciler.index.pending,
            "slotsUsed": count_used(self._reconciler.index, self._reconciler.ledger),
            "slotsAllowed": self._reconciler.policy.max_concurrent,
        }
        return web.json_response(body, status=200 if engine_status.is_up else 503)

    async def _show_metrics(self, request: web.Request) -> web.Response:
        async with self._pace.turn():
            body, content_type = expose(self._metrics.registry, request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _show_plan(self, request: web.Request) -> web.Response:
        """Show the plan and who holds the slots; ``?job=NAME`` shows that job's lines alone.

        With ``?format=json`` it is for machines.
        """
        job = request.query.get("job")
        index = self._reconciler.index
        most = _MOST_EXPLAINED if job is None else max(index.pending, len(index.active), 1)
        async with self._pace.turn():
            plan = self._reconciler.plan(explain=most)
            holds = list_holds(index.active, self._reconciler.now().engine, most=most)
            plan = replace(plan, holds=holds)
            if job is not None:
                plan = plan.narrow(job)
            if _wants_json(request):
                return web.json_response(view_plan(self._reconciler, plan))
            text = f"{self._summarize()}\n{plan}\n".rstrip("\n") + "\n"
        return web.Response(text=text)

    async def _show_job(self, request: web.Request) -> web.Response:
        """Show why one job waits, or holds its slot: by its name or uid, with little effort."""
        ref = request.match_info["ref"]
        async with self._job_pace.turn():
            index = self._reconciler.index
            uid = ref if ref in index.jobs else self._reconciler.informer.store.find_uid(ref)
            if uid is None or uid not in index.jobs:
                return web.Response(status=404, text="no such job\n")
            view = view_job_plan(self._reconciler, uid)
        if _wants_json(request):
            return web.json_response(view)
        return web.Response(text=f"{word_job_plan(view)}\n")

    def _summarize(self) -> str:
        reconciler = self._reconciler
        limit = reconciler.policy.max_concurrent
        engine = "up" if reconciler.informer.engine_status.is_up else "down"
        return (
            f"{reconciler.role}, engine {engine},"
            f" {count_used(reconciler.index, reconciler.ledger)} of"
            f" {'unlimited' if limit is None else limit} slots used,"
            f" {reconciler.index.pending} pending"
        )


def _wants_json(request: web.Request) -> bool:
    return request.query.get("format") == "json"
