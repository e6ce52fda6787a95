"""One search: both legs in parallel under one deadline, fusion, rerank, hits that say why they are where they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from connector.clusters.protocol import SearchableIndex
from connector.errors import (
    AccessDenied,
    ClusterUnavailable,
    ConnectorError,
    ModelError,
    QueryError,
    SearchFailed,
    WorkerError,
    WorkerUnavailable,
)
from connector.filters import Filter, check_filter, parse_filter
from connector.models.encoder import Encoder
from connector.rerankers.worker import WorkerClient
from connector.retries import CircuitBreaker, pauses
from connector.search.order import blend_window, fuse, whole_order
from connector.search.rerank import Reranked, passage_choice, rerank
from connector.search.weights import Weight, idf_weights
from connector.settings.sections import Settings, check_sizes
from connector.text import normalise_text
from connector.types import (
    Degradation,
    Explanation,
    LegExplanation,
    Passage,
    Ranking,
    SearchHit,
    SearchRequest,
    SearchResponse,
    Stage,
    Vector,
)

T = TypeVar("T")
LEGS_SHARE = 0.6  # of the deadline, where a rerank follows
FIELDS_RESERVE = 0.05  # of the deadline, kept for fetching the hits' fields
MAX_QUERY_CHARS = 20_000
FIRST_PAUSE_S = 0.1  # before a leg or the worker is asked again
FAIR_S = 1.0  # what is given less time than this is not blamed for being late


@dataclass(slots=True)
class _Run:
    """One search under way: what it may still spend, what each stage took, and what failed."""

    index: SearchableIndex  # asked as the caller, where the request brings credentials
    scope: str  # of what the worker may remember
    query: str
    filter: Filter | None
    k: int
    depth: int
    window: int
    rerank: bool
    passages: int  # of each document that the legs bring along
    deadline_s: float
    tries: int
    started: float = field(default_factory=time.monotonic)
    took_ms: dict[str, float] = field(default_factory=dict)
    degraded: list[Degradation] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    denied: dict[str, AccessDenied] = field(default_factory=dict)
    vector: Vector | None = None  # of the query, once encoded

    def left_s(self, share: float = 1.0) -> float:
        """Seconds until `share` of the deadline has passed."""
        return self.started + self.deadline_s * share - time.monotonic()

    @asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.took_ms[name] = round((time.monotonic() - began) * 1000, 2)

    async def attempt(
        self, name: str, work: Callable[[], Awaitable[T]], *, share: float, breaker: CircuitBreaker | None = None
    ) -> T | None:
        """The work's result; None, and a note that the answer is degraded, where it fails or runs late."""
        given_s = max(self.left_s(share), 0)
        async with self.stage(name):
            try:
                with breaker.watch(lambda error: _blames(error, given_s)) if breaker else nullcontext():
                    async with asyncio.timeout(given_s):
                        return await self._try(work, share)
            except TimeoutError:
                self.note(name, f"no answer within {self.deadline_s * share:.2f} s")
            except AccessDenied as error:
                self.denied[name] = error
                self.note(name, str(error))
            except ConnectorError as error:
                self.note(name, str(error))
        return None

    async def _try(self, work: Callable[[], Awaitable[T]], share: float) -> T:
        """The work's result, asked for again where it broke off and there is time; all that a search asks is safe to repeat."""
        for pause_s in pauses(FIRST_PAUSE_S, self.tries):
            try:
                return await work()
            except (ClusterUnavailable, WorkerUnavailable) as error:
                wait_s = max(pause_s or 0.0, error.retry_after_s or 0.0)
                if pause_s is None or wait_s >= self.left_s(share):
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError("the last pause is None")

    def check_allowed(self, *stages: str) -> None:
        """Raise AccessDenied where one of the stages was refused: that is no lateness that an answer could make up for."""
        for name in stages:
            if name in self.denied:
                raise self.denied[name]

    def note(self, name: str, reason: str) -> None:
        self.failures[name] = reason
        self.degraded.append(Degradation(name, reason))


@dataclass(frozen=True, slots=True)
class FirstStage:
    """What a search knows before it fuses."""

    query: str
    lexical: Ranking
    dense: Ranking
    weights: tuple[Weight, ...] | None
    degraded: tuple[Degradation, ...] = ()


class Searcher:
    """Searches one index. Safe to share between tasks."""

    def __init__(
        self, index: SearchableIndex, encoder: Encoder | None, worker: WorkerClient | None, settings: Settings
    ) -> None:
        """`encoder` None leaves out the dense leg, `worker` None the reranking."""
        self.index = index
        self._encoder = encoder
        self._worker = worker
        self._settings = settings
        # one thread that is always the same: a new one would first set up the model's own threads
        self._encoding = ThreadPoolExecutor(encoder.queries_at_once if encoder else 1, thread_name_prefix="encode")
        limits = settings.search.breaker.model_dump()
        self._encoder_breaker = CircuitBreaker("the encoder", **limits)
        self._worker_breaker = CircuitBreaker("the worker", **limits)

    async def search(self, request: SearchRequest) -> SearchResponse:
        """The `k` best documents. Raises QueryError, FilterError, SettingsError, CredentialsError, AccessDenied, or
        SearchFailed where no leg answered."""
        run = self._start(request)
        lexical, dense, weights = await self._first_stage(run)
        run.check_allowed("lexical", "dense")
        if lexical is None and dense is None:
            raise SearchFailed(run.failures)
        async with run.stage("fuse"):
            fused = fuse(lexical or (), dense or (), self._settings.search.fusion)
        window = fused[: run.window]
        reranked = await self._rerank(run, window, weights) if run.rerank and window else None
        if reranked and reranked.late:
            run.note(
                "rerank",
                f"{reranked.late} passages were not scored in time; documents without a score keep the fused order",
            )
        final = blend_window(window, reranked, self._settings) if reranked else fused
        order = whole_order(final, fused, late=reranked.late) if reranked else fused
        top = [hit.doc_id for hit in order[: run.k]]
        legs = {"lexical": lexical or (), "dense": dense or ()}
        if run.passages:
            fields = await self._fields(run, top)
            passages: Mapping[str, Passage] = passage_choice(
                reranked.ranking if reranked else (), legs["dense"], legs["lexical"]
            )
        else:
            fields, passages = await self._fields_and_passages(run, top, legs["dense"])
        run.check_allowed("fields")
        hits = _explain(top, fields, passages, final, fused, reranked, legs)
        run.took_ms["total"] = round((time.monotonic() - run.started) * 1000, 2)
        rankings = {name: ranking for name, ranking in legs.items() if ranking} | {"fused": fused}
        if reranked:
            rankings["reranked"] = order
        return SearchResponse(request.query.strip(), hits, tuple(run.degraded), run.took_ms, rankings)

    async def first_stage(self, request: SearchRequest) -> FirstStage:
        """What the same search would fuse and rerank: both legs, with the passages that the reranker would get, and the weights of the
        query's words. Raises what `search` raises."""
        run = self._start(request)
        lexical, dense, weights = await self._first_stage(run)
        run.check_allowed("lexical", "dense")
        if lexical is None and dense is None:
            raise SearchFailed(run.failures)
        return FirstStage(run.query, lexical or (), dense or (), weights, tuple(run.degraded))

    def _start(self, request: SearchRequest) -> _Run:
        asked = request.query.strip()
        query = normalise_text(asked).strip() or asked  # in the spelling in which documents are indexed and encoded
        if not query:
            raise QueryError("the query is empty; type at least one word")
        if len(query) > MAX_QUERY_CHARS:
            raise QueryError(f"the query has {len(query)} characters; at most {MAX_QUERY_CHARS} are taken")
        if any("\ud800" <= one <= "\udfff" for one in query):
            raise QueryError("the query holds half a surrogate pair, which is no character; check its encoding")
        search, settings = self._settings.search, self._settings
        caller = request.credentials
        reranks = self._worker is not None and (settings.rerank.enabled if request.rerank is None else request.rerank)
        run = _Run(
            index=self.index.as_caller(caller) if caller else self.index,
            scope=caller.scope if caller else "",
            query=query,
            filter=check_filter(parse_filter(request.filter), self.index.schema.fields.metadata),
            k=search.k if request.k is None else request.k,
            depth=search.depth if request.depth is None else request.depth,
            window=settings.rerank.window if request.window is None else request.window,
            rerank=reranks,
            passages=settings.rerank.passages if reranks else 0,
            deadline_s=search.deadline_s if request.deadline_s is None else request.deadline_s,
            tries=search.tries,
        )
        check_sizes(k=run.k, window=run.window, depth=run.depth)
        return run

    async def _first_stage(self, run: _Run) -> tuple[Ranking | None, Ranking | None, tuple[Weight, ...] | None]:
        """Both legs, and the weights of the query's words, side by side."""
        share = LEGS_SHARE if run.rerank else 1 - FIELDS_RESERVE
        async with asyncio.TaskGroup() as tasks:
            dense = tasks.create_task(self._dense(run, share))  # the first to start, since it takes the longest
            lexical = tasks.create_task(
                run.attempt(
                    "lexical",
                    lambda: run.index.lexical(
                        run.query,
                        depth=run.depth,
                        filter=run.filter,
                        timeout_s=run.left_s(share),
                        passages=min(run.passages, 1),
                    ),
                    share=share,
                )
            )
            weights = tasks.create_task(self._weigh(run, share))
        return lexical.result(), dense.result(), weights.result()

    async def _dense(self, run: _Run, share: float) -> Ranking | None:
        if self._encoder is None:
            return None
        vector = await run.attempt(
            "encode", lambda: self._encode(run.query), share=share, breaker=self._encoder_breaker
        )
        if vector is None:
            return None
        run.vector = vector
        return await run.attempt(
            "dense",
            lambda: run.index.dense(
                vector,
                depth=run.depth,
                filter=run.filter,
                timeout_s=run.left_s(share),
                passages=run.passages,
                note=partial(run.note, "dense"),
            ),
            share=share,
        )

    async def _encode(self, query: str) -> Vector:
        assert self._encoder is not None
        return await asyncio.get_running_loop().run_in_executor(self._encoding, self._encoder.encode_query, query)

    async def _weigh(self, run: _Run, share: float) -> tuple[Weight, ...] | None:
        """What the words of the query count, where the worker's scorer makes use of it."""
        if not run.rerank or self._worker is None or not self._settings.rerank.term_weights:
            return None
        if self._worker_breaker.is_open:
            return None
        try:
            info = await self._worker.info(timeout_s=run.left_s(share))
        except ConnectorError:
            return None  # the rerank itself will say what is wrong
        if info.kind != "late-interaction":
            return None
        found = await run.attempt(
            "term_weights",
            lambda: run.index.term_statistics(run.query, timeout_s=run.left_s(share)),
            share=share,
        )
        return idf_weights(found) if found else None

    async def _rerank(self, run: _Run, window: Ranking, weights: tuple[Weight, ...] | None) -> Reranked | None:
        worker, share = self._worker, 1 - FIELDS_RESERVE
        assert worker is not None
        return await run.attempt(
            "rerank",
            lambda: rerank(
                run.query,
                window,
                worker,
                passages=self._settings.rerank.passages,
                max_pairs=self._settings.rerank.max_pairs,
                weights=weights,
                scope=run.scope,
                timeout_s=run.left_s(share),
            ),
            share=share,
            breaker=self._worker_breaker,
        )

    async def _fields(self, run: _Run, top: list[str]) -> Mapping[str, dict[str, Any]]:
        if not top:
            return {}
        found = await run.attempt("fields", lambda: run.index.get(top, fields=None, timeout_s=run.left_s()), share=1.0)
        return found or {}

    async def _fields_and_passages(
        self, run: _Run, top: list[str], dense: Ranking
    ) -> tuple[Mapping[str, dict[str, Any]], Mapping[str, Passage]]:
        """Both in one request, where nothing but the hits needs passages: legs that bring none along are far faster."""
        if not top:
            return {}, {}
        near = {hit.doc_id for hit in dense}
        # what the dense leg found shows its nearest passage, all else the one that matches
        words = None if near.issuperset(top) else run.query
        vector = None if near.isdisjoint(top) else run.vector
        shown = await run.attempt(
            "fields",
            lambda: run.index.content(top, query=words, vector=vector, timeout_s=run.left_s()),
            share=1.0,
        )
        passages = {}
        for doc_id, one in (shown or {}).items():
            best = one.nearest or one.matching if doc_id in near else one.matching
            if best:
                passages[doc_id] = best
        return {doc_id: one.fields for doc_id, one in (shown or {}).items()}, passages


def _blames(error: Exception, given_s: float) -> bool:
    """Whether an encoder or worker that raises this is to be left alone if it goes on like that."""
    if given_s < FAIR_S:
        return False
    if isinstance(error, WorkerError):  # a refusal is an answer: of this request (4xx), or for now (429)
        return error.status is None or error.status >= 500
    return isinstance(error, ModelError | TimeoutError)


def _explain(
    top: list[str],
    fields: Mapping[str, dict[str, Any]],
    passages: Mapping[str, Passage],
    final: Ranking,
    fused: Ranking,
    reranked: Reranked | None,
    legs: Mapping[str, Ranking],
) -> tuple[SearchHit, ...]:
    """The hits with what every stage said of them."""
    final_scores = {hit.doc_id: hit.score for hit in final}
    places = {name: _places(ranking, top) for name, ranking in legs.items()}
    fused_places = _places(fused, top)
    rerank_places = _places(reranked.ranking, top) if reranked else {}
    hits = []
    for rank, doc_id in enumerate(top, start=1):
        in_fused, in_rerank = fused_places[doc_id], rerank_places.get(doc_id)
        explanation = Explanation(
            lexical=places["lexical"].get(doc_id),
            dense=places["dense"].get(doc_id),
            fused_rank=in_fused.rank,
            fused_score=in_fused.score,
            rerank_rank=in_rerank.rank if in_rerank else None,
            rerank_score=in_rerank.score if in_rerank else None,
            truncated=reranked is not None and doc_id in reranked.truncated,
        )
        score = final_scores.get(doc_id, in_fused.score)
        stage = _stage(in_rerank is not None, legs)
        hits.append(SearchHit(doc_id, score, rank, stage, fields.get(doc_id, {}), passages.get(doc_id), explanation))
    return tuple(hits)


def _places(ranking: Ranking, doc_ids: Sequence[str]) -> dict[str, LegExplanation]:
    """Where a ranking has those of the documents that it holds."""
    wanted = set(doc_ids)
    return {
        hit.doc_id: LegExplanation(rank, hit.score) for rank, hit in enumerate(ranking, start=1) if hit.doc_id in wanted
    }


def _stage(was_reranked: bool, legs: Mapping[str, Ranking]) -> Stage:
    if was_reranked:
        return "reranked"
    if not legs["dense"]:
        return "lexical"
    return "fused" if legs["lexical"] else "dense"
