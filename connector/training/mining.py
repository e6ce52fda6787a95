"""Judged queries -> examples: negatives from all legs of the configured cluster, without those that may be answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from connector.clusters.protocol import Index
from connector.errors import ClusterUnavailable
from connector.evaluation.files.datasets import Collection
from connector.evaluation.files.queries import JudgedQuery
from connector.search.searcher import Searcher
from connector.settings.search import reach
from connector.settings.sections import Settings
from connector.training.examples import Candidate, Example
from connector.training.options import Options
from connector.types import SearchHit, SearchRequest

DEADLINE_S = 60.0


class Miner:
    """Finds the candidates of queries in an index, through the same legs as a search."""

    def __init__(self, searcher: Searcher, index: Index, options: Options, settings: Settings) -> None:
        self._searcher = searcher
        legs = settings.search.legs
        self._most = reach(legs, options.depth)
        self._dense = [name for name, leg in legs.items() if leg.kind == "dense"]
        self._index = index
        self._options = options

    async def mine(self, query: JudgedQuery, grades: Mapping[str, int], *, for_measure: bool) -> Example | None:
        """The example of a query; None where the index holds no document that answers it, or no other one.

        For training a few negatives are drawn; `for_measure`, all candidates stay. Raises ClusterUnavailable where a
        leg failed, and what a search raises."""
        hits = await self._search(query.text)
        relevant = {doc_id: grade for doc_id, grade in grades.items() if grade > 0}
        found = {hit.doc_id: self._text(hit) for hit in hits}
        positives = await self._positives(relevant, found)
        others = [hit for hit in hits if hit.doc_id not in relevant and found[hit.doc_id]]
        chosen = sure = others
        if not for_measure:
            sure = sure_negatives(hits, others, relevant, dense=self._dense, max_share=self._options.max_share)
            drawing = random.Random(f"{self._options.seed}:{query.query_id}")
            chosen = draw(sure, grades, self._options.negatives, drawing)
        if not positives or not chosen:
            return None
        negatives = tuple(Candidate(hit.doc_id, found[hit.doc_id], 0) for hit in chosen)
        return Example(query.query_id, query.text, positives, negatives, len(others) - len(sure))

    async def _search(self, text: str) -> tuple[SearchHit, ...]:
        depth = self._options.depth
        request = SearchRequest(text, k=self._most, depth=depth, rerank=False, deadline_s=DEADLINE_S)
        response = await self._searcher.search(request)
        if response.degraded:
            missing = "; ".join(f"{missed.stage}: {missed.reason}" for missed in response.degraded)
            raise ClusterUnavailable(
                f"a search for candidates was degraded ({missing}); run the same command again, it goes on where it "
                "stopped"
            )
        return response.hits

    async def _positives(self, relevant: Mapping[str, int], found: Mapping[str, str]) -> tuple[Candidate, ...]:
        """Those that the index holds, also where no leg found them."""
        missing = [doc_id for doc_id in relevant if doc_id not in found]
        fetched = await self._index.get(missing, fields=None, timeout_s=DEADLINE_S) if missing else {}
        texts = {**found, **{doc_id: self._join(fields) for doc_id, fields in fetched.items()}}
        return tuple(Candidate(doc_id, texts[doc_id], grade) for doc_id, grade in relevant.items() if texts.get(doc_id))

    def _text(self, hit: SearchHit) -> str:
        return hit.passage.text if hit.passage else self._join(hit.fields)

    def _join(self, fields: Mapping[str, object]) -> str:
        """The text fields of a document, in reading order."""
        return "\n".join(str(fields[name]) for name in self._index.schema.fields.text if fields.get(name))


async def mine_all(
    miner: Miner,
    collection: Collection,
    queries: Sequence[JudgedQuery],
    *,
    for_measure: bool,
    on_example: Callable[[JudgedQuery, Example | None], None],
) -> None:
    """Each query's example, handed on as it is found."""
    for query in queries:
        on_example(query, await miner.mine(query, collection.qrels[query.query_id], for_measure=for_measure))


def sure_negatives(
    hits: Sequence[SearchHit],
    others: Sequence[SearchHit],
    relevant: Mapping[str, int],
    *,
    dense: Sequence[str],
    max_share: float,
) -> list[SearchHit]:
    """Those of `others` that are not nearer to the query than `max_share` of its nearest answer: what is nearer and was
    not judged is often an answer too. Where no leg of those called `dense` found an answer, nothing can be told and all
    stay.

    TopK-PercPos of Moreira and others, NV-Retriever, 2024."""
    cosines = [cosine for hit in hits if hit.doc_id in relevant and (cosine := _cosine(hit, dense)) is not None]
    if not cosines:
        return list(others)
    bound = max_share * max(cosines)
    return [hit for hit in others if (cosine := _cosine(hit, dense)) is None or cosine <= bound]


def _cosine(hit: SearchHit, dense: Sequence[str]) -> float | None:
    """The greatest that one of the legs has; None where none of them found the document."""
    return max((place.score for name, place in hit.explain.legs.items() if name in dense), default=None)


def draw(hits: Sequence[SearchHit], grades: Mapping[str, int], count: int, drawing: random.Random) -> list[SearchHit]:
    """`count` of the hits: those that somebody judged to be no answer first, then any."""
    judged = [hit for hit in hits if hit.doc_id in grades]
    others = [hit for hit in hits if hit.doc_id not in grades]
    drawing.shuffle(judged)
    drawing.shuffle(others)
    return [*judged, *others][:count]
