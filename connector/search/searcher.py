"""One search: request -> legs -> fusion -> rerank -> order -> hits, each visited once, under one deadline."""

from __future__ import annotations

from connector.clusters.protocol import SearchableIndex
from connector.models.encoder import Encoder
from connector.rerankers.protocol import Reranker
from connector.retries import CircuitBreaker
from connector.search.fusion import fuse
from connector.search.hits import Ranked, read_hits
from connector.search.legs import DenseLeg, FirstStage, Leg, LexicalLeg, ask_legs
from connector.search.order import blend, whole_order
from connector.search.request import check_request
from connector.search.rerank import Reranked, rerank
from connector.search.run import SearchRun
from connector.search.weights import TermWeights
from connector.settings.sections import Settings
from connector.types import Ranking, SearchRequest, SearchResponse


class Searcher:
    """Searches one index. Safe to share between tasks."""

    def __init__(
        self, index: SearchableIndex, encoder: Encoder | None, reranker: Reranker | None, settings: Settings
    ) -> None:
        """`encoder` None leaves out the dense leg, `reranker` None the reranking."""
        self.index = index
        self._settings = settings
        limits = settings.search.breaker.model_dump()
        self._dense = DenseLeg(encoder, CircuitBreaker("the encoder", **limits)) if encoder else None
        # the dense leg is the first to start, since it takes the longest
        self._legs: list[Leg] = [*([self._dense] if self._dense else []), LexicalLeg()]
        self._reranker = reranker
        self._breaker = CircuitBreaker("the worker", **limits)
        weighs = reranker is not None and settings.rerank.term_weights
        self._term_weights = TermWeights(reranker, self._breaker) if reranker and weighs else None

    async def search(self, request: SearchRequest) -> SearchResponse:
        """The `k` best documents. Raises QueryError, FilterError, SettingsError, CredentialsError, AccessDenied, or
        SearchFailed where no leg answered."""
        run = self._start(request)
        found = await ask_legs(run, self._legs, self._term_weights)
        async with run.stage("fuse"):
            fused = fuse(found.legs, self._settings.search.fusion)
        window = fused[: run.request.window]
        reranked = await self._rerank(run, window, found) if run.request.reranks and window else None
        ranked = self._order(found, fused, window, reranked)
        hits = await read_hits(run, ranked, self._settings)
        run.finish()
        return SearchResponse(
            run.request.query, hits, tuple(run.degraded), run.took_ms, ranked.rankings, tuple(run.notes)
        )

    async def first_stage(self, request: SearchRequest) -> FirstStage:
        """What the same search would fuse and rerank: what the legs found, with the passages that the reranker would
        get, and the weights of the query's words. Raises what `search` raises."""
        return await ask_legs(self._start(request), self._legs, self._term_weights)

    def close(self) -> None:
        """End the threads that encode. The index, the encoder and the reranker are whose they were."""
        if self._dense:
            self._dense.close()

    def _start(self, request: SearchRequest) -> SearchRun:
        checked = check_request(request, self._settings, self.index.schema, has_reranker=self._reranker is not None)
        caller = checked.credentials
        index = self.index.as_caller(caller) if caller else self.index
        return SearchRun(checked, index, self._settings.search.tries, list(checked.notes))

    async def _rerank(self, run: SearchRun, window: Ranking, found: FirstStage) -> Reranked | None:
        reranker, share, limits = self._reranker, run.ranking_share, self._settings.rerank
        assert reranker is not None
        reranked = await run.attempt(
            "rerank",
            lambda: rerank(
                found.query,
                window,
                reranker,
                passages=limits.passages,
                max_pairs=limits.max_pairs,
                weights=found.weights,
                scope=run.scope,
                timeout_s=run.left_s(share),
            ),
            share=share,
            breaker=self._breaker,
        )
        if reranked:
            run.degraded += reranked.degradations(self.index.schema.why_no_text)
            run.notes += reranked.notes()
        return reranked

    def _order(self, found: FirstStage, fused: Ranking, window: Ranking, reranked: Reranked | None) -> Ranked:
        if reranked is None:
            return Ranked(found.legs, fused, window, None, (), fused)
        final = blend(window, found.legs, reranked.ranking, self._settings.rerank.weights)
        order = whole_order(final, fused, late=reranked.late)
        return Ranked(found.legs, fused, window, reranked, final, order)
