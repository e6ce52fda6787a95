"""The legs, their fusion and the rerank of one recognised search -> the order of its window."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Self

from pydantic import SecretStr

from connector.credentials import Credentials
from connector.errors import ConnectorError, QueryError
from connector.gateway.exchange import BufferedReply, Headers
from connector.gateway.ordering.caller_client import CallerClient
from connector.gateway.ordering.caller_index import CallerIndex, Joining, LexicalReply
from connector.gateway.ordering.scores import window_scores
from connector.gateway.ordering.sender import Sender
from connector.gateway.ordering.site import Site
from connector.gateway.reading.body import SHARED, SearchBody
from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.parameters import Parameters
from connector.gateway.reading.who_asks import who_asks
from connector.gateway.reading.wishes import Wishes
from connector.search.hits import Ranked
from connector.search.run import SearchRun
from connector.search.searcher import Searcher
from connector.types import SearchRequest

SERVER_ERROR, TOO_MANY = 500, 429


class Degraded(Exception):
    """A part of ours failed or ran late, so that the engine's own answer is given; `reason` names the part."""

    def __init__(self, reason: str, why: str = "") -> None:
        super().__init__(why or reason)
        self.reason = reason


class Refused(Exception):
    """The engine itself refused the caller's query. `reply` is what it said, where that is to be handed on as it is;
    None where it should be asked with the caller's own body, for its own words."""

    def __init__(self, reply: BufferedReply | None) -> None:
        super().__init__("the engine refused the search")
        self.reply = reply


@dataclass(frozen=True, slots=True)
class RecognisedSearch:
    """A recognised search: where it goes, what it asks, and what its caller wishes."""

    site: Site
    body: SearchBody
    parameters: Parameters
    headers: Headers
    wishes: Wishes
    named: str  # the indices, as the path or the line before it names them
    indices: frozenset[str] | None = None  # that hits have to be of; None where the settings have that name
    coding: bytes = b""  # of the reply, where the engine codes any
    within: bytes = b""  # the line before it in an `_msearch`

    @property
    def is_cut(self) -> bool:
        """Whether what matches is cut by the lexical leg itself, so that only its own hits may be shown."""
        names = {*self.body.parts, *self.parameters.names()}
        return bool(names & {"min_score", "terminate_after"})

    @property
    def bounded(self) -> bool:
        mode = self.wishes.mode or self.site.settings.mode
        if self.is_cut or mode == "bounded":
            return True
        return mode != "union" and self.body.strict

    @property
    def explains(self) -> bool:
        """Whether the caller asks how its scores came about."""
        names = {*self.body.parts, *self.parameters.names()}
        return "explain" in names

    @property
    def searcher(self) -> Searcher:
        return self.site.searcher(self.wishes.pipeline)


@dataclass(frozen=True, slots=True)
class Order:
    """The window of a search, best first, and what the engine said to its lexical leg.

    `beside` are those of it that the lexical leg did not show; how many of them the query does not match is
    `only_dense`, once that is known."""

    window: tuple[str, ...]
    scores: tuple[float, ...]
    lexical: LexicalReply
    beside: tuple[str, ...]
    only_dense: int | None
    also: tuple[str, ...]
    bounded: bool
    stages: tuple[str, ...]
    gone: tuple[str, ...] = ()  # documents that were in the window, and are no longer there

    def without(self, gone: Collection[str]) -> Self:
        """The same without documents that are no longer there: those after them move up with their scores."""
        left = [(doc_id, score) for doc_id, score in zip(self.window, self.scores, strict=True) if doc_id not in gone]
        beside = tuple(doc_id for doc_id in self.beside if doc_id not in gone)
        fewer = len(self.beside) - len(beside)
        return replace(
            self,
            window=tuple(doc_id for doc_id, _ in left),
            scores=tuple(score for _, score in left),
            beside=beside,
            only_dense=None if self.only_dense is None else max(self.only_dense - fewer, 0),
            gone=(*self.gone, *gone),
        )

    @property
    def counted(self) -> bool:
        """Whether the engine's own numbers count what only dense legs found."""
        return bool(self.also)


class Ordering:
    """One search whose order is being found: `prepare` before anything is sent, then `find`."""

    def __init__(self, search: RecognisedSearch, sender: Sender) -> None:
        """Raises NotRecognised for a text that no search of ours takes."""
        self.search = search
        site, body = search.site, search.body
        self.client = CallerClient(sender, search.headers, site.cluster, body.those(SHARED), search.indices)
        joining = Joining(search.bounded, site.settings.exact)
        self.index = CallerIndex(site.index, self.client, body, joining, window=site.settings.window)
        request = SearchRequest(
            body.text,
            lexical=body.parsed,
            depth=site.settings.window,
            rerank=None if body.start < site.reranked else False,
            deadline_s=site.deadline_s,
            credentials=_credentials(search.headers),
        )
        try:
            self.run: SearchRun = search.searcher.start(request, self.index)
        except QueryError:
            raise NotRecognised("a text that is not searched") from None

    @property
    def waits(self) -> bool:
        """Whether its lexical leg waits for the dense ones."""
        return self.index.joining.counted and not self.index.joining.bounded

    async def encode(self) -> int:
        """Have the query's vector first; how many legs are going to ask at once then."""
        legs = await self.search.searcher.encode(self.run)
        if not self.waits:
            return legs.lexical + legs.dense
        self.index.expect_dense(legs.dense)
        return legs.lexical - bool(legs.dense) + legs.dense

    async def find(self) -> Order:
        """The order. Raises Degraded, Refused, NotRecognised."""
        if self.waits and not self.run.encoded:
            await self.encode()
        try:
            ranked = await self.search.searcher.rank(self.run)
        except ConnectorError as error:
            self._check_refusal()
            raise Degraded(next(iter(self.run.failures), "search"), str(error)) from error
        self._check_refusal()
        if failed := next(_failures(self.run, self.search.site), None):
            raise Degraded(failed, self.run.failures.get(failed, ""))
        return self._order(ranked)

    def _check_refusal(self) -> None:
        if self.client.has_strayed:
            raise NotRecognised("hits of another index")
        refused = self.index.refused
        if refused is not None:
            again = refused.status < SERVER_ERROR and refused.status != TOO_MANY
            raise Refused(None if again else refused)

    def _order(self, ranked: Ranked) -> Order:
        lexical, site = self.index.reply, self.search.site
        if lexical is None:
            raise Degraded("lexical", "the engine did not answer the lexical leg")
        order = ranked.last
        if self.search.is_cut:
            order = tuple(hit for hit in order if hit.doc_id in lexical.doc_ids)
        order = order[: site.settings.window]
        dense = next((found for name, found in ranked.found.legs.items() if site.is_dense(name) and found), ())
        placed = frozenset(hit.doc_id for stage in ranked.stages for hit in stage.final)
        scores = window_scores(site.settings.scores, order, lexical=lexical.scores, dense=dense, placed=placed)
        beside = tuple(hit.doc_id for hit in order if hit.doc_id not in lexical.doc_ids)
        known = 0 if self.search.bounded else len(beside) if lexical.whole else None
        return Order(
            tuple(hit.doc_id for hit in order),
            scores,
            lexical,
            beside,
            0 if not beside else known,
            self.index.also,
            self.search.bounded,
            tuple(stage.name for stage in ranked.stages),
        )


def _failures(run: SearchRun, site: Site) -> Iterator[str]:
    """The parts without which the order is not what the settings say: legs, the encoder, stages that could not run."""
    for note in run.degraded:
        outcome = run.stages.get(note.stage)
        needed = note.stage == "encode" or note.stage in site.legs or (outcome is not None and not outcome.ran)
        if needed and not note.lasting:
            yield note.stage


def _credentials(headers: Headers) -> Credentials | None:
    """Who asks, so that what is remembered of passages serves this caller alone. Nothing is sent with it."""
    caller = who_asks(headers)
    return Credentials(SecretStr(f"caller {caller}")) if caller else None
