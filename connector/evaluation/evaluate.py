"""A collection through a set of pipelines -> what each gave, how good that was, and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.errors import SettingsError
from connector.evaluation.files.datasets import Collection
from connector.evaluation.files.weights import MeanWeights
from connector.evaluation.pipelines import Pipeline, PlannedSearch
from connector.evaluation.route import FUSED
from connector.evaluation.runs import Answers, Search, answer_with_each
from connector.evaluation.searchers import Opened, open_searchers
from connector.evaluation.segments import Segments, default_segments, segment
from connector.evaluation.statistics.latency import Percentiles, percentiles
from connector.evaluation.statistics.measures import Run, Values, mean, measure
from connector.evaluation.statistics.significance import Comparison, compare


@dataclass(frozen=True, slots=True)
class Measured:
    """A pipeline with what it gave. `latency` is of its answers, `stages` of the stages of its search.

    `failed` has the queries without a ranking and why, `degraded` those whose ranking lacks something and what, `ran`
    for how many queries each rerank stage of its search ran."""

    pipeline: Pipeline
    search: PlannedSearch
    facts: Mapping[str, Any]
    run: Run
    values: Values
    latency: Percentiles
    stages: Mapping[str, Percentiles]
    failed: Mapping[str, str]
    degraded: Mapping[str, tuple[str, ...]]
    ran: Mapping[str, int] = field(default_factory=dict)
    weights: MeanWeights = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.pipeline.name

    @property
    def stage(self) -> str:
        return self.search.stage(self.pipeline)

    def mean(self, name: str) -> float:
        """Of a measure over all judged queries, each by its weight."""
        return mean(self.values[name], self.weights)

    @property
    def troubled(self) -> int:
        """Queries that failed or were degraded."""
        return len(self.failed) + len(self.degraded)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the pipelines gave on a collection. The first measure is the one that they are compared by."""

    collection: Collection
    measures: tuple[str, ...]
    k: int
    pipelines: tuple[Measured, ...]
    baseline: str
    segments: Mapping[str, Segments] = field(default_factory=dict)  # by what -> segment -> query_ids

    @property
    def names(self) -> list[str]:
        return [pipeline.name for pipeline in self.pipelines]

    def named(self, name: str) -> Measured:
        return next(pipeline for pipeline in self.pipelines if pipeline.name == name)

    def compare(self, name: str) -> dict[str, Comparison]:
        """Every other pipeline against the baseline by a measure."""
        values = {pipeline.name: pipeline.values[name] for pipeline in self.pipelines}
        return compare(values, self.baseline, self.collection.weights)


@dataclass(frozen=True, slots=True)
class Reporter:
    """What hears how an evaluation goes: notes, what begins and how many steps it has, each step that is done."""

    note: Callable[[str], None] = lambda text: None
    begin: Callable[[str, int], None] = lambda description, count: None
    done: Callable[[], None] = lambda: None


async def evaluate(
    collection: Collection,
    searches: Sequence[PlannedSearch],
    *,
    measures: tuple[str, ...],
    k: int,
    baseline: str | None = None,
    segment_by: Sequence[str] = (),
    reuse_scores: bool = False,
    warm_up: bool = False,
    reporter: Reporter = Reporter(),
) -> Evaluation:
    """Send every query through every search and measure what comes. `baseline` None: the first pipeline. `warm_up`:
    send all of them once before, so that times are those of a service that has been running for a while.

    Raises SettingsError for a baseline or segment that is not there, SourceError where the index has none of the judged
    documents, and what opening the cluster and the first, unmeasured search raise."""
    names = [pipeline.name for search in searches for pipeline in search.pipelines]
    if baseline is not None and baseline not in names:
        raise SettingsError(f"no pipeline {baseline!r} to compare with; there are {', '.join(names)}")
    by = segment_by or default_segments(collection.queries)
    segments = {field: segment(collection.queries, field) for field in by}
    async with open_searchers([search.settings for search in searches], reuse_scores=reuse_scores) as opened:
        check_vectors(opened, searches)
        facts = [await _look_at(searcher, collection, reporter) for searcher in opened]
        ready = await make_ready(opened, searches, reporter)
        rounds = 2 if warm_up else 1
        reporter.begin("searching", rounds * len(ready) * len(collection.queries))
        for _ in range(rounds):
            answers = await answer_with_each(ready, collection.queries, on_answer=reporter.done)
    measured = [
        measure_pipeline(pipeline, planned, given, described, collection, measures)
        for planned, given, described in zip(searches, answers, facts, strict=True)
        for pipeline in planned.pipelines
    ]
    return Evaluation(collection, measures, k, tuple(measured), baseline or names[0], segments)


async def make_ready(
    opened: Sequence[Opened], searches: Sequence[PlannedSearch], reporter: Reporter
) -> tuple[Search, ...]:
    """What the queries are sent through, each after a first search that is not measured. Raises what that raises."""
    ready = tuple(
        Search(place.searcher, {"rerank": planned.last != FUSED})
        for place, planned in zip(opened, searches, strict=True)
    )
    for place, search in zip(opened, ready, strict=True):
        for missing in await place.warm_up(**search.options):
            reporter.note(f"the first search was degraded: {missing}")
    return ready


def check_vectors(opened: Sequence[Opened], searches: Sequence[PlannedSearch]) -> None:
    """Raises SettingsError where a pipeline is a ranking by vectors that the index does not have."""
    for place, planned in zip(opened, searches, strict=True):
        lacking = [] if place.index.schema.vector_field else map(planned.stage, planned.pipelines)
        for stage in filter(planned.route.needs_vectors, lacking):
            raise SettingsError(
                f"index {place.index.name!r} has no vectors, so there is no {stage} ranking; leave that pipeline out"
            )


def measure_pipeline(
    pipeline: Pipeline,
    search: PlannedSearch,
    answers: Answers,
    facts: Mapping[str, Any],
    collection: Collection,
    measures: Sequence[str],
) -> Measured:
    """The figures of one pipeline from the answers of its search."""
    stage, route, is_last = search.stage(pipeline), search.route, search.is_last(pipeline)
    stages = [str(own_stage.name) for own_stage in search.settings.search.rerank]
    run = {answer.query_id: route.ranking(stage, answer) for answer in answers}
    failed = {answer.query_id: reason for answer in answers if (reason := route.failure(stage, answer))}
    degraded = {
        answer.query_id: missing
        for answer in answers
        if answer.query_id not in failed and (missing := route.degradations(stage, answer))
    }
    took = [route.answer_ms(stage, answer.took_ms, last=is_last) for answer in answers if answer.query_id not in failed]
    return Measured(
        pipeline=pipeline,
        search=search,
        facts=facts,
        run=run,
        values=measure(run, collection.qrels, measures),
        latency=percentiles(took),
        stages={name: percentiles(values) for name, values in answers.took_ms.items()},
        failed=failed,
        degraded=degraded,
        ran={name: sum(name in answer.ran for answer in answers) for name in stages},
        weights=collection.weights,
    )


async def _look_at(opened: Opened, collection: Collection, reporter: Reporter) -> dict[str, Any]:
    """What a searcher runs on. Raises SourceError where its index has none of the judged documents."""
    share = await opened.share_found(collection)
    if share < 1:
        reporter.note(
            f"index {opened.index.name!r} lacks {1 - share:.1%} of the relevant documents, which no pipeline can find"
        )
    return await opened.describe() | {"relevant_found": round(share, 4)}
