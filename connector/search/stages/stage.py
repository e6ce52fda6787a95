"""One rerank stage: the best of the order that comes in go to a reranker, and a new order comes out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from connector.search.legs.ask import FirstStage
from connector.search.long_texts import cut_long_texts
from connector.search.named_reranker import NamedReranker
from connector.search.run import SearchRun
from connector.search.stages.order import blend, whole_order
from connector.search.stages.pairs import Reranked, rerank
from connector.search.stages.when import why_left_out
from connector.settings.search import StageSettings
from connector.types import Hit, Ranking, StageOutcome

CUTTING_SHARE = 0.25  # of a stage's time, for long texts to be cut in


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage that ran made of the order that came in: the whole `order` after it.

    `before` has the scores that it found, `final` the documents that it scored, in their new order."""

    name: str
    before: Ranking
    reranked: Reranked
    weights: Mapping[str, float]
    final: Ranking
    order: Ranking


class RerankStage:
    """Reranks a window of an order."""

    def __init__(
        self, settings: StageSettings, reranker: NamedReranker, legs: Collection[str], *, share: float
    ) -> None:
        """`legs` are the names of all legs, whose scores count in the final order; `share` is its part of the time that
        the stages have together."""
        self.name = str(settings.name)
        self.share = share
        self.reranker = reranker
        self.settings = settings
        self._legs = tuple(legs)

    def why_left_out(self, run: SearchRun, found: FirstStage, order: Ranking, *, window: int) -> str:
        """Why it does not run on an order, by its rules; empty where it does."""
        request = run.request
        return why_left_out(
            self.settings.when,
            query=request.text,
            facts=request.facts,
            legs=found.legs,
            order=order,
            window=window,
            k=request.k,
        )

    async def run(
        self, run: SearchRun, found: FirstStage, order: Ranking, before: Ranking, *, window: int, share: float
    ) -> StageResult | None:
        """The order after this stage; None where it failed, which the run has noted. `before` has the scores of those
        that the last stage placed; `share` is the part of the deadline in which this one has to end."""
        limits = self.settings
        schema, time_to_cut_s = run.index.schema, run.left_s(share) * CUTTING_SHARE
        cut = await cut_long_texts(
            found.query, order[:window], schema, passages=limits.passages, timeout_s=time_to_cut_s
        )
        documents = cut.ranking
        reranked = await run.attempt(
            self.name,
            lambda: rerank(
                found.query,
                documents,
                self.reranker.client,
                passages=limits.passages,
                max_pairs=limits.max_pairs,
                weights=found.weights.get(self.reranker.name) if limits.term_weights else None,
                scope=run.scope,
                turn=run.turns[self.name],
                least=run.request.k,
                timeout_s=run.left_s(share),
            ),
            share=share,
            breaker=self.reranker.breaker,
        )
        run.turns[self.name].close()
        if reranked is None:
            run.stages[self.name] = StageOutcome(False, len(documents), why=run.failures[self.name])
            return None
        self._say(run, reranked, asked=len(documents))
        run.notes += [f"{self.name}: {note}" for note in cut.notes]
        if not reranked.ranking:
            return None
        weights = limits.weights_with(self._legs, reranked.kind)
        final = with_passages(blend(before, found.legs, reranked.ranking, weights), documents)
        whole = whole_order(final, order, late=reranked.late)
        return StageResult(self.name, before, reranked, weights, final, whole)

    def _say(self, run: SearchRun, reranked: Reranked, *, asked: int) -> None:
        """What of the window was not scored, and why."""
        short = list(shortcomings(reranked, run.index.schema.why_no_text))
        for reason, lasting in short:
            run.note(self.name, reason, lasting=lasting)
        whys = [reason for reason, _ in short]
        if reranked.beyond_cap:
            capped = f"{reranked.beyond_cap} documents of the window were not reranked: max_pairs holds no more pairs"
            run.notes.append(f"{self.name}: {capped}")
            whys.append(capped)
        if busy := _what_fitted(reranked, asked):
            run.notes.append(f"{self.name}: {busy}")
            whys.append(busy)
        ran = bool(reranked.pairs) or not reranked.beyond_room
        run.stages[self.name] = StageOutcome(ran, asked, len(reranked.ranking), "; ".join(whys), bool(busy))


def shortcomings(reranked: Reranked, why_no_text: str = "") -> Iterator[tuple[str, bool]]:
    """What of the window was not reranked, and whether that lasts; `why_no_text` is what the index's mapping tells of
    it."""
    if reranked.beyond_room and not reranked.pairs:
        yield f"the worker is busy: none of {reranked.beyond_room} passages would be scored in time", False
    if reranked.late:
        yield f"{reranked.late} passages were not scored in time; documents without a score keep their places", False
    if reranked.without_text:
        have = "document of the window has" if reranked.without_text == 1 else "documents of the window have"
        why = why_no_text or "does the index hold their text in the fields that are searched?"
        yield f"{reranked.without_text} {have} no text to rerank; the order before stands there; {why}", True


def _what_fitted(reranked: Reranked, window: int) -> str:
    """What of the window a busy reranker had time for; "" where that is all, or nothing."""
    if not reranked.beyond_room or not reranked.pairs:
        return ""
    if reranked.documents < window - reranked.without_text - reranked.beyond_cap:
        return f"window {reranked.documents} of {window}: worker busy"
    return f"{reranked.pairs} of {reranked.pairs + reranked.beyond_room} passages: worker busy"


def with_passages(final: Ranking, documents: Ranking) -> Ranking:
    """Each document with its best passage first, and then those that it came with, for a stage that follows."""
    came = {hit.doc_id: hit.passages for hit in documents}
    return tuple(
        [
            Hit(hit.doc_id, hit.score, tuple(dict.fromkeys((*hit.passages, *came[hit.doc_id]))))
            if len(came[hit.doc_id]) > 1
            else hit
            for hit in final
        ]
    )
