"""Evaluations from rankings that are written down: measured by the real code, without a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connector.evaluation.evaluate import Evaluation, measure_pipeline
from connector.evaluation.files.datasets import Collection
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.pipelines import Pipeline, PlannedSearch
from connector.evaluation.runs import Answer, Answers
from connector.evaluation.segments import default_segments, segment
from connector.settings.sections import Settings
from connector.types import Degradation, Hit, Ranking

FACTS = {"engine": "embedded 1", "index": "kb", "documents": 9, "encoder": "hash", "relevant_found": 1.0}
MEASURES = ("nDCG@10", "RR@10")


def ranked(*doc_ids: str) -> Ranking:
    return tuple(Hit(doc_id, 1.0 / rank) for rank, doc_id in enumerate(doc_ids, start=1))


def collection(
    qrels: Mapping[str, Mapping[str, int]],
    *,
    kinds: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
) -> Collection:
    """Judged queries that are called after their ids."""
    labels = {query_id: {"kind": (kind,)} for query_id, kind in (kinds or {}).items()}
    queries = (
        JudgedQuery(query_id, (texts or {}).get(query_id, f"text of {query_id}"), labels.get(query_id, {}))
        for query_id in qrels
    )
    return Collection("made", tuple(queries), qrels)


def answer(
    query_id: str, *, took_ms: float = 10.0, degraded: Sequence[Degradation] = (), **rankings: Ranking
) -> Answer:
    """An answer whose every stage took the same time."""
    times = dict.fromkeys(("lexical", "encode", "dense", "fuse", "local", "fields"), took_ms) | {"total": took_ms * 5}
    return Answer(query_id, rankings, times, tuple(degraded))


def evaluation(
    judged: Collection,
    runs: Mapping[str, Mapping[str, Ranking]],
    *,
    took_ms: Mapping[str, float] | None = None,
    degraded: Mapping[str, Mapping[str, str]] | None = None,
    settings: Settings = Settings(),
    baseline: str | None = None,
    measures: tuple[str, ...] = MEASURES,
) -> Evaluation:
    """Pipelines that gave these runs, each the last stage of a search of its own."""
    measured = []
    for name, run in runs.items():
        notes = (degraded or {}).get(name, {})
        answers = Answers(
            tuple(
                answer(
                    query.query_id,
                    took_ms=(took_ms or {}).get(name, 10.0),
                    degraded=[Degradation("local", notes[query.query_id])] if query.query_id in notes else (),
                    **({"reranked": run[query.query_id]} if query.query_id in run else {}),
                )
                for query in judged.queries
            )
        )
        pipeline = Pipeline(name)
        measured.append(
            measure_pipeline(pipeline, PlannedSearch(settings, (pipeline,)), answers, FACTS, judged, measures)
        )
    segments = {by: segment(judged.queries, by) for by in default_segments(judged.queries)}
    return Evaluation(judged, measures, 10, tuple(measured), baseline or next(iter(runs)), segments)
