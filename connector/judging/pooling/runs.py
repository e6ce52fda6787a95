"""Queries without judgments through pipelines, on the real path: a run of each, and what is shown of documents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.clusters.protocol import Index
from connector.evaluation.evaluate import Reporter, check_vectors, make_ready
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.pipelines import PlannedSearch
from connector.evaluation.runs import Answers, answer_with_each
from connector.evaluation.searchers import PAGE, TIMEOUT_S, Opened, open_searchers
from connector.evaluation.statistics.measures import Run
from connector.judging.pairs import PairKey
from connector.judging.pooling.depth import pool_keys
from connector.judging.pooling.pool import Pooling

_DocumentFields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PipelineRuns:
    """The run of each pipeline by its name, and by the same names the queries that failed or were degraded, and why.
    `contents` has the fields of each pooled pair whose document the index has."""

    runs: Mapping[str, Run]
    failed: Mapping[str, Mapping[str, str]]
    degraded: Mapping[str, Mapping[str, str]]
    contents: Mapping[PairKey, _DocumentFields]


async def run_pipelines(
    queries: Sequence[JudgedQuery],
    searches: Sequence[PlannedSearch],
    pooling: Pooling | None = None,
    *,
    reporter: Reporter = Reporter(),
) -> PipelineRuns:
    """Every query through every search; where there is a `pooling`, also the fields of what it pools.

    Raises SettingsError for a ranking that the index has not, and what opening the cluster and the first search
    raise."""
    async with open_searchers([search.settings for search in searches], reuse_scores=True) as opened:
        check_vectors(opened, searches)
        ready = await make_ready(opened, searches, reporter)
        reporter.begin("searching", len(ready) * len(queries))
        answers = await answer_with_each(ready, queries, on_answer=reporter.done)
        found = _by_pipeline(searches, answers)
        contents = await _fetch(opened, searches, found, pooling, reporter) if pooling else {}
    return PipelineRuns(found.runs, found.failed, found.degraded, contents)


def _by_pipeline(searches: Sequence[PlannedSearch], answers: Sequence[Answers]) -> PipelineRuns:
    runs, failed, degraded = {}, {}, {}
    for search, given in zip(searches, answers, strict=True):
        for pipeline in search.pipelines:
            stage, name = search.stage(pipeline), pipeline.name
            runs[name] = {answer.query_id: search.route.ranking(stage, answer) for answer in given}
            failed[name] = {answer.query_id: why for answer in given if (why := search.route.failure(stage, answer))}
            degraded[name] = {
                answer.query_id: "; ".join(missing)
                for answer in given
                if answer.query_id not in failed[name] and (missing := search.route.degradations(stage, answer))
            }
    return PipelineRuns(runs, failed, degraded, {})


async def _fetch(
    opened: Sequence[Opened],
    searches: Sequence[PlannedSearch],
    found: PipelineRuns,
    pooling: Pooling,
    reporter: Reporter,
) -> dict[PairKey, _DocumentFields]:
    """The fields of what is pooled: of each index what its own pipelines found, then all the rest from the first."""
    wanted = pool_keys(found.runs.values(), pooling.depth)
    contents: dict[str, _DocumentFields] = {}
    reporter.begin("fetching fields", len({doc_id for _, doc_id in wanted}))
    for place in {id(place.index): place for place in opened}.values():
        names = pooling.fields or tuple(place.index.schema.fields.text)
        lacking = sorted({doc_id for _, doc_id in wanted if doc_id not in contents})
        contents |= await _fetch_from(place.index, lacking, names, reporter)
    return {key: contents[key[1]] for key in wanted if key[1] in contents}


async def _fetch_from(
    index: Index, doc_ids: Sequence[str], names: Collection[str], reporter: Reporter
) -> dict[str, _DocumentFields]:
    contents: dict[str, _DocumentFields] = {}
    for start in range(0, len(doc_ids), PAGE):
        page = doc_ids[start : start + PAGE]
        fetched = await index.get(page, fields=None, timeout_s=TIMEOUT_S)
        contents |= {
            doc_id: {name: fields[name] for name in names if name in fields} for doc_id, fields in fetched.items()
        }
        for _ in page:
            reporter.done()
    return contents
