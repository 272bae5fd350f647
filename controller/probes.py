"""The controller's own small HTTP port: is it alive, is it ready, what does it plan and count."""

import asyncio
import contextlib
from typing import Final

import structlog
from aiohttp import web

from api.runtime.metrics import expose
from api.runtime.version import VERSION
from controller.metrics import Metrics
from controller.planner import count_used
from controller.reconciler import Reconciler

_RETRY: Final = 1.0
_MOST_EXPLAINED: Final = 1000
_log = structlog.get_logger(__name__)


class Probes:
    """Answers from the state of ``reconciler``; it never asks the engine."""

    def __init__(self, reconciler: Reconciler, metrics: Metrics) -> None:
        self._reconciler = reconciler
        self._metrics = metrics

    async def serve(self, host: str, port: int) -> None:
        """Serve until cancelled. A port in use is waited for: a standby may run beside."""
        runner = web.AppRunner(self.make_app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await self._listen(runner, host, port)
            await asyncio.get_running_loop().create_future()
        finally:
            await runner.cleanup()

    def make_app(self) -> web.Application:
        """Return what answers on the port."""
        app = web.Application()
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._ready)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/plan", self._show_plan)
        return app

    async def _listen(self, runner: web.AppRunner, host: str, port: int) -> None:
        reported = False
        while True:
            site = web.TCPSite(runner, host, port)
            try:
                await site.start()
            except OSError as error:
                if not reported:
                    _log.warning("health port cannot be had yet", port=port, error=str(error))
                reported = True
                with contextlib.suppress(RuntimeError):
                    await site.stop()
                await asyncio.sleep(_RETRY)
            else:
                _log.info("health port open", host=host, port=port)
                return

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
        body, content_type = expose(self._metrics.registry, request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _show_plan(self, request: web.Request) -> web.Response:
        """Show the plan of this moment; ``?job=NAME`` shows that job's lines alone."""
        job = request.query.get("job")
        index = self._reconciler.index
        plan = self._reconciler.plan(
            explain=_MOST_EXPLAINED if job is None else max(index.pending, 1)
        )
        if job is not None:
            plan = plan.narrow(job)
        return web.Response(text=f"{self._summarize()}\n{plan}\n".rstrip("\n") + "\n")

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
