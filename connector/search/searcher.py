"""One search: a request goes down a list of legs, their fusion, rerank stages and hits, under one deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from connector.clusters.protocol import SearchableIndex
from connector.models.encoder import Encoder
from connector.rerankers.protocol import Reranker
from connector.retries import CircuitBreaker
from connector.search.fusion import fusion_of_legs
from connector.search.hits import Ranked, fetch_hits
from connector.search.legs.ask import FirstStage, ask_legs
from connector.search.legs.build import build_legs
from connector.search.legs.dense import QueryEncoder
from connector.search.legs.lexical import LexicalLeg
from connector.search.long_texts import cut_long_texts
from connector.search.named_reranker import NamedReranker
from connector.search.pages.digest import digest_of
from connector.search.pages.pages import Pages
from connector.search.request import check_request
from connector.search.results_page import check_page, count_facets, fetch_groups
from connector.search.run import SearchRun
from connector.search.stages.run_stages import expected, run_stages
from connector.search.stages.stage import RerankStage
from connector.search.weights import TermWeights
from connector.settings.sections import Settings
from connector.types import SearchRequest, SearchResponse


class LegCount(NamedTuple):
    """How many legs of each kind ask."""

    lexical: int
    dense: int


class Searcher:
    """Searches one index. Safe to share between tasks. It knows no leg and no reranker by its name."""

    def __init__(
        self, index: SearchableIndex, encoder: Encoder | None, rerankers: Mapping[str, Reranker], settings: Settings
    ) -> None:
        """`encoder` None leaves out the dense legs; a stage whose reranker is not among `rerankers` is left out too.

        Raises SettingsError where no leg is left."""
        self.index = index
        self._settings, search = settings, settings.search
        limits = search.breaker.model_dump()
        self._encoder = QueryEncoder(encoder, CircuitBreaker("the encoder", **limits)) if encoder else None
        self._legs = build_legs(search.legs, self._encoder)
        lexical = [leg for leg in self._legs if isinstance(leg, LexicalLeg)]
        self._page_leg = next((leg for leg in lexical if leg.brings_page), None)
        self._fusion = fusion_of_legs(search.legs, search.fusion)
        named = {
            name: NamedReranker(name, reranker, CircuitBreaker(f"the reranker {name}", **limits))
            for name, reranker in rerankers.items()
        }
        self._stages = [
            RerankStage(stage, named[stage.reranker], search.legs, share=share)
            for stage, share in zip(search.rerank, search.stage_shares, strict=True)
            if stage.reranker in named
        ]
        weighing = {stage.reranker.name: stage.reranker for stage in self._stages if stage.settings.term_weights}
        self._term_weights = TermWeights(weighing.values())
        counting = [leg for leg in lexical if search.legs[leg.name].weight]
        self._pages = Pages(search, counting[0] if counting else None, self._page_leg)

    async def search(self, request: SearchRequest) -> SearchResponse:
        """The `k` best documents. Raises QueryError, FilterError, SettingsError, CredentialsError, AccessDenied,
        SearchFailed where no leg answered, and for the page behind a cursor CursorError or ViewLost."""
        run = self.start(request)
        digest = digest_of(request, self._settings.search) if run.request.cursor else ""
        if isinstance(run.request.cursor, str):
            hits, cursor = await self._pages.read(run, run.request.cursor, digest)
            return run.finish(hits, {}, cursor)
        if run.request.cursor:
            await self._pages.freeze(run)
        asked = [self._page_leg] if self._page_leg and run.request.sorts else self._legs
        with expected(run, self._stages):
            found = await ask_legs(run, asked, self._term_weights)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(count_facets(run, found, self._page_leg))
                ranked = await self._rank(run, found)
        run.check_allowed("facets")
        groups = await fetch_groups(run, ranked.last)
        ranked = ranked if groups is None else ranked.in_groups(groups)
        hits, ranked = await fetch_hits(run, ranked, self._legs, self._page_leg)
        more, cursor = await self._pages.begin(run, ranked, len(hits), digest)
        return run.finish((*hits, *more), ranked.rankings, cursor)

    async def _rank(self, run: SearchRun, found: FirstStage) -> Ranked:
        """The order of all that was found; as it came where the caller demands one."""
        if run.request.sorts:
            (order,) = found.legs.values()
            return Ranked(found, None, order, ())
        async with run.stage("fuse"):
            fused = self._fusion.combine(found.legs)
        return Ranked(found, self._fusion, fused, await run_stages(run, self._stages, found, fused))

    async def rank(self, run: SearchRun) -> Ranked:
        """The order alone of a search that `start` began, of which no hit is read: for whoever shows them in another
        way. What failed stands in the run. Raises what `search` raises."""
        with expected(run, self._stages):
            found = await ask_legs(run, self._legs, self._term_weights)
            return await self._rank(run, found)

    async def encode(self, run: SearchRun) -> LegCount:
        """Have the query's vector before any leg is asked; how many legs are going to ask then."""
        lexical = sum(leg.kind == "lexical" for leg in self._legs)
        dense = len(self._legs) - lexical
        if not dense or not self._encoder or await self._encoder.vector(run) is None:
            return LegCount(lexical, 0)
        return LegCount(lexical, dense)

    async def first_stage(self, request: SearchRequest) -> FirstStage:
        """What the same search would fuse and rerank: what the legs found, with the passages that the rerankers would
        get, and the weights of the query's words. Raises what `search` raises."""
        run = self.start(request)
        found = await ask_legs(run, self._legs, self._term_weights)
        schema, passages = self.index.schema, run.request.passages
        legs = {
            name: (
                await cut_long_texts(found.query, leg, schema, passages=passages, timeout_s=run.request.deadline_s)
            ).ranking
            for name, leg in found.legs.items()
        }
        return replace(found, legs=legs)

    def close(self) -> None:
        """End the threads that encode. The index, the encoder and the rerankers are whose they were."""
        if self._encoder:
            self._encoder.close()

    def start(self, request: SearchRequest, index: SearchableIndex | None = None) -> SearchRun:
        """A search that begins now; `index` is another view of the searcher's own one. Raises what `search` raises."""
        index = index or self.index
        stages = [stage.settings for stage in self._stages]
        checked = check_request(request, self._settings, index.schema, stages)
        caller = checked.credentials
        index = index.as_caller(caller) if caller else index
        run = SearchRun(checked, index, self._settings.search.tries, list(checked.notes))
        for leg in self._legs:
            leg.check(run)
        check_page(run, self._page_leg)
        return run
