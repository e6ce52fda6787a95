"""An index as one search of a caller asks it: the lexical leg is the caller's own query in its own bytes, and the other
legs are held to what that query demands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from connector.clusters.beside.index import BesideIndex
from connector.clusters.dialect import any_of, with_stored_ids
from connector.clusters.protocol import ignore
from connector.clusters.reading.hits import has_ids
from connector.clusters.reading.lexical import read_lexical
from connector.clusters.rest_index import RestIndex
from connector.credentials import Credentials
from connector.errors import ClusterError
from connector.filters import And, EngineQuery, Filter
from connector.gateway.exchange import BufferedReply, Headers
from connector.gateway.ordering.bodies import BARELY, brings_passages_along, lexical_body
from connector.gateway.ordering.caller_client import STATUS_ERROR, CallerClient
from connector.gateway.reading.body import SearchBody
from connector.gateway.reading.coding import decoded
from connector.gateway.reading.raw_json import Raw, members, read_copy, write
from connector.lexical import LexicalAnswer, LexicalQuery, PageRequest
from connector.own_query.shape import without_inner_hits
from connector.types import Hit, Ranking, TermStatistics, Vector


@dataclass(frozen=True, slots=True)
class LexicalReply:
    """What the engine said to the lexical leg: its members but for the hits, in their own bytes and their own order.

    `scores` are those of its hits, best first; `whole`: no other document matches."""

    top: dict[str, Raw]  # of the reply; `hits` is empty there
    hits: dict[str, Raw]  # of its `hits`, which has none there
    headers: Headers
    scores: tuple[float, ...]
    doc_ids: frozenset[str]
    whole: bool


@dataclass(frozen=True, slots=True)
class Joining:
    """What may join the caller's matches: nothing (`bounded`), or what only dense legs find. `counted`: the engine is
    told of the latter, so that its numbers count them; the lexical leg then waits for so many dense ones."""

    bounded: bool
    counted: bool = False


class CallerIndex(RestIndex):
    """Asks through the caller's client. It is made for one search."""

    def __init__(
        self, index: RestIndex, client: CallerClient, search: SearchBody, joining: Joining, *, window: int
    ) -> None:
        if isinstance(index, BesideIndex):
            asked: RestIndex = index.asked_by(client, client.credentials)
        else:
            asked = index.asked_by(client)
        vars(self).update(vars(asked))
        self._asked = asked  # whose dense legs may be of two indices
        self.caller = client
        self.search = search
        self.joining = joining
        self.reply: LexicalReply | None = None
        self.refused: BufferedReply | None = None  # the engine's own refusal of the lexical leg
        self.also: tuple[str, ...] = ()  # what only dense legs found, where it is counted
        self._window = window
        self._dense_under_way = 0
        self._dense_done = asyncio.Event()
        self._dense_done.set()

    def expect_dense(self, legs: int) -> None:
        """So many dense legs are going to ask; the lexical one waits for them where they are counted."""
        if legs and self.joining.counted and not self.joining.bounded:
            self._dense_under_way = legs
            self._dense_done.clear()

    def as_caller(self, credentials: Credentials) -> CallerIndex:
        return self

    async def lexical(
        self,
        query: LexicalQuery,
        *,
        depth: int,
        filter: Filter | None,
        timeout_s: float,
        passages: int = 1,
        page: PageRequest | None = None,
    ) -> LexicalAnswer:
        if query.own is not self.search.parsed:  # another lexical leg of the settings
            return await super().lexical(query, depth=depth, filter=filter, timeout_s=timeout_s, passages=passages)
        await self._dense_done.wait()
        body = lexical_body(self.search, self.schema, window=self._window, passages=passages, also=self.also)
        ranking = await self._ask_lexical(body, timeout_s)
        if passages and self.schema.managed and not brings_passages_along(self.search, self.schema):
            ranking = await self._with_passages(ranking, query.text, timeout_s)
        return LexicalAnswer(ranking)

    async def dense(
        self,
        vector: Vector,
        *,
        depth: int,
        filter: Filter | None,
        timeout_s: float,
        field: str | None = None,
        passages: int = 1,
        note: Callable[[str], None] = ignore,
    ) -> Ranking:
        try:
            found = await self._asked.dense(
                vector,
                depth=depth,
                filter=self._demanded(filter),
                timeout_s=timeout_s,
                field=field,
                passages=passages,
                note=note,
            )
            if self._dense_under_way:
                self.also = tuple(dict.fromkeys((*self.also, *(hit.doc_id for hit in found))))
            return found
        finally:
            self._dense_under_way -= 1
            if self._dense_under_way <= 0:
                self._dense_done.set()

    async def term_statistics(self, text: str, *, timeout_s: float) -> TermStatistics:
        return await RestIndex.term_statistics(self.asked_by(self.caller.for_words()), text, timeout_s=timeout_s)

    def _demanded(self, restrictions: Filter | None) -> Filter | None:
        """What hits of other legs have to fulfil: the whole query where nothing may join its matches, else its filter
        part; and what is filtered after the query."""
        demanded = EngineQuery(without_inner_hits(self.search.parsed)) if self.joining.bounded else restrictions
        if "post_filter" not in self.search.parts:
            return demanded
        after = EngineQuery(without_inner_hits(read_copy(bytes(self.search.parts["post_filter"]))))
        return And((demanded, after)) if demanded else after

    async def _ask_lexical(self, body: bytes, timeout_s: float) -> Ranking:
        """What the caller's query matches, each hit by its id; what of the reply the caller gets is kept."""
        until = asyncio.get_running_loop().time() + timeout_s
        reply = await self.caller.send("lexical", body, timeout_s=timeout_s)
        self.refused = reply if reply.status >= STATUS_ERROR else None  # a second try may be answered
        plain = decoded(reply)
        found = self.caller.read(plain)
        if not has_ids(found):
            asked = with_stored_ids(dict[str, Any](members(body)))
            left_s = until - asyncio.get_running_loop().time()
            reply = await self.caller.send("lexical", write(asked), timeout_s=left_s)
            plain = decoded(reply)
            found = self.caller.read(plain)
        ranking = read_lexical(found, self.schema, self._window, None).ranking
        barely = min(BARELY * 10, max((hit.score for hit in ranking), default=0.0))
        matching = tuple(hit for hit in ranking if hit.score > barely) if self.also else ranking
        self._keep(plain, reply.headers, matching, whole=len(ranking) < self._window)
        return matching

    def _keep(self, reply: BufferedReply, headers: Headers, matching: Ranking, *, whole: bool) -> None:
        try:
            parts = members(reply.body)
            hits = {name: part.copy() for name, part in members(parts["hits"]).items() if name != "hits"}
        except (msgspec.DecodeError, KeyError) as error:
            raise ClusterError("the engine's reply is no search's") from error
        top = {name: Raw(b"{}") if name == "hits" else part.copy() for name, part in parts.items()}
        scores, doc_ids = tuple(hit.score for hit in matching), frozenset(hit.doc_id for hit in matching)
        self.reply = LexicalReply(top, hits, headers, scores, doc_ids, whole)

    async def _with_passages(self, ranking: Ranking, text: str, timeout_s: float) -> Ranking:
        """The same hits with their passages, by a request that the caller's numbers do not show."""
        if not ranking:
            return ranking
        asked = LexicalQuery(text, own=any_of(self.schema, [hit.doc_id for hit in ranking]))
        found = await super().lexical(asked, depth=len(ranking), filter=None, timeout_s=timeout_s)
        passages = {hit.doc_id: hit.passages for hit in found.ranking}
        return tuple(Hit(hit.doc_id, hit.score, passages.get(hit.doc_id, ())) for hit in ranking)
