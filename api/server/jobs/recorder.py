"""Records desired jobs: a document goes in, one labelled container, not started, comes out."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import structlog

from api.engine.errors import AMBIGUOUS, OUTAGES, ConflictError, EngineError, EngineRefusedError
from api.engine.interface import Engine
from api.informer.health import EngineHealth
from api.server.admission.admit import admit, choose_policy
from api.server.admission.inherited import refuse_inherited
from api.server.admission.masking import mask_variables
from api.server.admission.unsupported import refuse_unsupported
from api.server.filters.service import ConflictPolicy, Filters, PullPolicy, Rendered
from api.server.http.errors import RETRY_AFTER, explain_refusal
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.server.images.cache import ImageCache
from api.server.images.pulls import Pulls
from api.server.jobs.backlog import Backlog, read_owner
from api.server.jobs.lookup import Jobs, NameTaken
from api.server.jobs.order import Order, add_labels, make_new_job
from api.server.jobs.queues import Queues
from api.server.jobs.verdict import add_details, describe_verdict
from api.server.metrics import ApiMetrics
from api.server.settings import Settings
from api.v1.job import LEAVING, Job
from api.v1.spec import JobSpec, digest_document, find_own_labels

_log = structlog.get_logger(__name__)
_CONFLICT_PAUSES: Final = (0.05, 0.2, 0.5, 1.0)  # before each further create
_SETTLE_PAUSES: Final = (0.0, 0.2, 0.5)  # before each look for what may have been created
_SETTLE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a document's job is: ``id`` is its name, ``uid`` the engine's id of it.

    ``known`` is the job that was there before. ``same_document`` tells whether this very document
    made that, None where it is not known; ``is_conflict``: it did not, and the filter refuses that.
    ``warnings`` are the engine's of a new job.
    """

    id: str
    uid: str
    known: Job | None = None
    same_document: bool | None = None
    is_conflict: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def is_new(self) -> bool:
        """Whether the job was made of this document just now."""
        return self.known is None


class Recorder:
    """Turns documents into containers of ``engine``, and into nothing else."""

    def __init__(
        self,
        engine: Engine,
        filters: Filters,
        settings: Settings,
        *,
        jobs: Jobs,
        pulls: Pulls,
        images: ImageCache,
        backlog: Backlog,
        queues: Queues,
        health: EngineHealth,
        metrics: ApiMetrics,
    ) -> None:
        self._engine = engine
        self._filters = filters
        self._settings = settings
        self._jobs = jobs
        self._pulls = pulls
        self._health = health
        self._images = images
        self._backlog = backlog
        self._queues = queues
        self._metrics = metrics

    async def record(self, path: str, document: object) -> Recorded:
        """Create the container that ``document`` asks for, or find the one that it has.

        Raises ``Problem``: whatever filter, admission and pulling refuse, 400 ``ImageNotFound``,
        ``PlatformMismatch``, ``UnknownQueue`` and ``EngineRefused``, 409 ``NameTaken``, 429
        ``QueueFull``, 502 ``EngineFailed`` and ``NameBusy``; and ``EngineError`` where the engine
        does not answer. Never leaves more than one container behind, and none half-made.
        """
        order = await self._admit(path, document, await self._filters.render(path, document))
        structlog.contextvars.bind_contextvars(job=order.name)
        with self._backlog.hold_place(order.spec.wishes.queue) as lack:
            if lack is not None and await self._find_taken(order) is None:
                self._metrics.on_queue_full()
                raise lack
            return await self._pull_and_claim(order)

    async def _pull_and_claim(self, order: Order) -> Recorded:
        asked_at: float | None = None
        match order.pull:
            case _ if not order.looks_at_image:
                return await self._claim(order)  # each node has images of its own
            case PullPolicy.NEVER:
                return await self._claim(order)
            case PullPolicy.IF_NOT_PRESENT:
                # most images are there: only a create that fails says that one is not
                asked_at = asyncio.get_running_loop().time()
                try:
                    return await self._claim(order)
                except Problem as problem:
                    if problem.reason is not ProblemReason.IMAGE_NOT_FOUND:
                        raise
            case PullPolicy.ALWAYS:
                # a job that is there needs no image any more
                if (taken := await self._find_taken(order)) is not None:
                    return _recognise(order, taken)
        await self._pulls.pull(order.spec.image, order.platform, since=asked_at)
        self._images.forget()
        return await self._claim(order)

    async def _find_taken(self, order: Order) -> Job | NameTaken | None:
        known = await self._jobs.find_by_id(order.name)
        taken = known or await self._jobs.find_by_name(order.name)
        return None if _is_leaving(taken) else taken

    async def _claim(self, order: Order) -> Recorded:
        """Create the container, or find the job of its id; wait for rivals and for a removal."""
        known = await self._jobs.find_by_id(order.name)
        if known is not None and not _is_leaving(known):
            return _recognise(order, known)
        for pause in (*_CONFLICT_PAUSES, None):
            recorded = await self._create(order)
            if recorded is not None:
                return recorded
            if pause is not None:
                await asyncio.sleep(pause)
        # A rival's create, or a removal, holds the name, and nobody can say how it will end.
        message = f"a container called {order.name} is about to come or to go; try again later"
        raise Problem(502, ProblemReason.NAME_BUSY, message, headers=RETRY_AFTER)

    async def rehearse(self, path: str, document: object, *, shows: bool) -> Order:
        """Return the create call that ``record`` would make, and make none.

        A ``Problem`` raised carries a ``verdict`` and, if ``shows`` and there is one, the filter's
        manifest, without the values of its variables.
        """
        try:
            rendered = await self._filters.render(path, document)
        except Problem as problem:
            raise add_details(problem, {"verdict": describe_verdict(problem.reason)}) from None
        admission = "refused"
        try:
            order = await self._admit(path, document, rendered)
            admission = "passed"
            lack = self._backlog.find_lack(order.spec.wishes.queue)
            if lack is not None and await self._find_taken(order) is None:
                raise lack
        except Problem as problem:
            details = {
                "verdict": {"schema": "passed", "rules": "passed", "admission": admission},
                "filter": rendered.filter,
                **({"manifest": mask_variables(rendered.manifest)} if shows else {}),
            }
            raise add_details(problem, details) from None
        return order

    async def _admit(self, path: str, document: object, rendered: Rendered) -> Order:
        info = await self._health.get_info()
        policy = choose_policy(
            self._settings.profile,
            rendered.admission,
            guarded=(*self._settings.guarded, *info.folders),
        )
        admitted = admit(
            rendered.manifest, policy, api_version=info.api_version, log_driver=info.log_driver
        )
        if not info.capabilities.manifests:
            refuse_unsupported(self._engine.find_unsupported(admitted.asked))
        self._queues.check(admitted.wishes.queue)
        spec = JobSpec(
            path,
            rendered.filter,
            digest_document(path, document),
            read_owner(),
            admitted.image,
            find_own_labels(admitted.labels),
            admitted.wishes,
        )
        return Order(
            admitted.name,
            admitted.platform,
            add_labels(admitted, spec, self._settings.namespace),
            spec,
            pull=rendered.pull or self._settings.pulling.policy,
            looks_at_image=info.capabilities.images,
            on_conflict=rendered.on_conflict,
            profile=policy.profile,
        )

    async def _create(self, order: Order) -> Recorded | None:
        """Create the container; None: the name is taken by nothing that will stay."""
        if order.looks_at_image:
            try:
                inherited = await self._images.look(order.spec.image)
            except EngineError as error:
                return await self._look_for_rival(order, error)
            refuse_inherited(inherited, order.body, order.profile)
        began = time.perf_counter()
        outcome = "created"
        try:
            created = await self._engine.create(order.name, order.body, platform=order.platform)
        except AMBIGUOUS as error:
            outcome = "ambiguous"
            return await self._settle(order, error)
        except EngineError as error:
            outcome = "refused"
            if isinstance(error, OUTAGES):
                outcome = "unavailable"
            return await self._look_for_rival(order, error)
        finally:
            self._metrics.on_create(outcome, time.perf_counter() - began)
        self._jobs.note_created(
            make_new_job(created.uid, order, self._settings.namespace, self._engine.now())
        )
        if created.warnings:
            _log.warning("the engine warns of a job", warnings=created.warnings)
        return Recorded(order.name, created.uid, warnings=created.warnings)

    async def _look_for_rival(self, order: Order, error: EngineError) -> Recorded | None:
        """Find who has the name after a refusal: a job that is there needs nothing any more.

        The engine looks for the image before the name. podman answers 500 for a name that is taken.
        """
        is_conflict = isinstance(error, ConflictError)
        was_refused = isinstance(error, EngineRefusedError) and not isinstance(error, OUTAGES)
        taken = await self._jobs.find_by_name(order.name) if was_refused else None
        may_be_taken = is_conflict or getattr(error, "status", None) == 500  # noqa: PLR2004
        if isinstance(taken, Job) or (taken is not None and may_be_taken):
            return None if _is_leaving(taken) else _recognise(order, taken)
        if is_conflict:
            return None
        raise explain_refusal(error) from error

    async def _settle(self, order: Order, error: EngineError) -> Recorded:
        """Find out what became of a create call without an answer; never make another one."""
        _log.warning("create call without an answer", cause=str(error))
        taken = None
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                for pause in _SETTLE_PAUSES:
                    await asyncio.sleep(pause)
                    if (taken := await self._jobs.find_by_name(order.name)) is not None:
                        break
        except (EngineError, TimeoutError):
            taken = None
        if taken is None:
            raise error
        if isinstance(taken, Job) and taken.spec.document == order.spec.document:
            return Recorded(order.name, taken.uid)
        return _recognise(order, taken)


def _is_leaving(taken: Job | NameTaken | None) -> bool:
    """Tell whether a job is being removed, or was to be: its uid may be gone at any moment."""
    return isinstance(taken, Job) and taken.status in LEAVING


def _recognise(order: Order, taken: Job | NameTaken) -> Recorded:
    """Return the job that is there already; anything else of that name is a problem 409."""
    if isinstance(taken, NameTaken):
        message = f"the name {order.name} is taken by a container that is not this job"
        raise Problem(409, ProblemReason.NAME_TAKEN, message)
    document = taken.spec.document
    same_document = document == order.spec.document if document else None
    is_conflict = same_document is False and order.on_conflict is ConflictPolicy.REFUSE
    return Recorded(order.name, taken.uid, taken, same_document, is_conflict)
