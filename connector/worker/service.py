"""What the worker's routes share: the models, the queue of requests, the limits, what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request

from connector.headers import BUDGET, SCOPE
from connector.models.late_interaction import LateInteractionScorer
from connector.models.model import Model
from connector.models.scorer import Cancelled
from connector.settings.sections import WorkerSettings
from connector.worker.access import PRINCIPAL
from connector.worker.batcher import Batcher
from connector.worker.metrics import Metrics, Reading
from connector.worker.models import Models, OfferedModel
from connector.worker.refusals import Refusal
from connector.worker.request_log import facts_of
from connector.worker.request_queue import QueuedRequest, RequestQueue
from connector.worker.scoring import Scoring
from connector.worker.traces import Traces
from connector.worker.wire import may_use_cache, read_budget, read_scope

T = TypeVar("T")
DISCONNECT_CHECK_S = 0.05


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """What a request's headers say: the scope of what is remembered of it, whether remembered scores may serve it, and
    its budget in seconds."""

    scope: str
    use_cache: bool
    budget_s: float | None


class WorkerService:
    """Everything behind the routes of one worker."""

    def __init__(self, offered: Sequence[OfferedModel], settings: WorkerSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.traces = Traces(settings.otlp_url)
        self.queue = RequestQueue(
            max_waiting=settings.max_waiting,
            max_waiting_chars=settings.max_waiting_chars,
            max_wait_s=settings.max_wait_s,
        )
        self.batcher = Batcher(self.queue, metrics=self.metrics, tracer=self.traces.tracer)
        self.models = Models(offered, max_bytes=settings.max_models_bytes, note_first=self.queue.note_first)
        self.scoring = Scoring(self.batcher, cache_bytes=settings.score_cache_bytes, metrics=self.metrics)
        self.metrics.read(self._readings())

    def close(self) -> None:
        self.models.close()
        self.batcher.close()

    def read_options(self, request: Request) -> RequestOptions:
        """Raises Refusal for a header that cannot be read."""
        try:
            scope = read_scope(request.headers.get(SCOPE), principal=request.scope.get(PRINCIPAL, ""))
            use_cache = may_use_cache(request.headers.get("cache-control"))
            return RequestOptions(scope, use_cache, read_budget(request.headers.get(BUDGET)))
        except ValueError as error:
            raise Refusal(422, "validation", str(error)) from error

    def load_timeout_s(self, options: RequestOptions) -> float:
        """For how long a request waits for a model that is loaded at its first use."""
        limit_s = self.settings.max_wait_s
        return limit_s if options.budget_s is None else min(options.budget_s, limit_s)

    @contextmanager
    def admitted(
        self, request: Request, model: Model, texts: Sequence[str], options: RequestOptions
    ) -> Iterator[QueuedRequest]:
        """A place in the queue for a request, and its part in the log. Raises Overloaded."""
        facts = facts_of(request.scope)
        facts.model, facts.pairs = model.name, len(texts)
        with self.queue.admitted(model, texts, options.budget_s) as place:
            try:
                yield place
            finally:
                facts.queue_ms = None if place.queue_s is None else place.queue_s * 1000
                facts.model_ms = place.model_s * 1000

    def check_texts(self, texts: Sequence[str], *, called: str, purpose: str) -> None:
        """Raises Refusal for a list of nothing, and for one that is too long."""
        if not texts:
            raise Refusal(400, "empty", f"there is nothing to {purpose}: the list of {called} is empty")
        if len(texts) > self.settings.max_pairs:
            raise Refusal(
                422, "validation", f"{len(texts)} {called} in one request; at most {self.settings.max_pairs} are taken"
            )

    def _readings(self) -> list[Reading]:
        """What is counted elsewhere and read when somebody asks."""
        queue, models = self.queue, self.models

        def of_caches(name: str) -> float:
            caches = [model.cache for model in models.loaded() if isinstance(model, LateInteractionScorer)]
            return float(sum(getattr(cache, name) for cache in caches))

        def speed() -> float:
            return max(queue.rates.values(), default=0.0)

        waited = "for how long the oldest request has waited for its first batch"
        return [
            ("waiting", "requests under way", False, lambda: queue.under_way),
            ("queue_age_seconds", waited, False, queue.oldest_s),
            ("tokens_per_second", "the speed of the last batches, of the fastest model", False, speed),
            ("score_cache_entries", "scores remembered", False, lambda: len(self.scoring.cache)),
            ("models_loaded", "models in memory", False, lambda: len(models.loaded())),
            ("models_bytes", "about what they take", False, models.bytes),
            ("token_cache_hits", "passages whose token vectors were remembered", True, lambda: of_caches("hits")),
            ("token_cache_misses", "passages whose token vectors were not", True, lambda: of_caches("misses")),
            ("token_cache_bytes", "bytes of token vectors remembered", False, lambda: of_caches("bytes")),
        ]


async def unless_disconnected(request: Request, work: asyncio.Future[T]) -> T:
    """The result of the work, which is given up where the caller has closed the connection. Raises Cancelled then."""
    try:
        while not work.done():
            await asyncio.wait([work], timeout=DISCONNECT_CHECK_S)
            if not work.done() and await request.is_disconnected():
                raise Cancelled
        return work.result()
    finally:
        work.cancel()
