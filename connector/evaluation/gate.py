"""An evaluation held against a stored one: what fell by more than it may, what takes longer than it may."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, FiniteFloat, ValidationError, field_validator, model_validator

from connector.errors import SettingsError, SourceError
from connector.evaluation.defaults import MAX_DEGRADED, MAX_DROP
from connector.evaluation.evaluate import Evaluation, Measured
from connector.evaluation.files.datasets import Collection
from connector.evaluation.files.text_file import read_text
from connector.evaluation.pipelines import Pipeline
from connector.evaluation.report.figures import FORMAT, Figures, build_baseline, telling_settings
from connector.evaluation.statistics.measures import check_measures
from connector.evaluation.statistics.significance import differences, randomisation_test
from connector.evaluation.unjudged import find_unjudged
from connector.whole_file import write_whole

TIMED = frozenset({"encode", "fuse", "term_weights", "fields", "total"})  # and what the pipelines have
FACTS = ("engine", "encoder", "rerankers")  # that make a difference to a ranking
ROUNDING = 1e-6  # of stored values


@dataclass(frozen=True, slots=True)
class Bounds:
    """What must hold: how far a measure may fall, how many milliseconds 95 of 100 searches may take at most (by
    pipeline, or by stage), and how many queries may fail or be degraded."""

    max_drop: Mapping[str, float]
    max_p95_ms: Mapping[str, float]
    max_degraded: int = MAX_DEGRADED


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure then and now. `bound` is what it must not pass, None where nothing is asked of it; `p` says how
    probable such a difference is by chance, where that is known; `possible` is what a measure could be now, with the
    best grades for what nobody judged."""

    pipeline: str
    figure: str
    before: float | None
    now: float
    bound: float | None
    broken: bool
    p: float | None = None
    possible: float | None = None

    @property
    def depends_on_unjudged(self) -> bool:
        """Whether a broken bound would hold with other grades for what nobody judged."""
        if not self.broken or self.possible is None or self.bound is None:
            return False
        return self.possible > self.now and self.possible >= self.bound - ROUNDING


class StoredLatency(BaseModel):
    p95: FiniteFloat


class StoredPipeline(BaseModel):
    """What a gate reads of a pipeline."""

    declared_stage: str
    overrides: dict[str, Any]
    settings: dict[str, Any]
    facts: dict[str, Any]
    measures: dict[str, FiniteFloat]
    latency_ms: StoredLatency
    stages_ms: dict[str, StoredLatency]
    failed: dict[str, str]
    degraded: dict[str, list[str]]
    per_query: dict[str, dict[str, FiniteFloat]]


class StoredCollection(BaseModel):
    name: str
    fingerprint: str
    queries: int
    weighed_by: str | None = None

    @field_validator("weighed_by")
    @classmethod
    def _counts_alike(cls, by: str | None) -> str | None:
        if by:
            raise ValueError(f"its queries are weighed by {by}, and a gate's count alike")
        return by


class StoredEvaluation(BaseModel):
    """What a gate reads of a stored evaluation; a file that was cut or edited by hand lacks some of it."""

    collection: StoredCollection
    k: int
    measures: Annotated[list[str], Field(min_length=1)]
    pipelines: Annotated[dict[str, StoredPipeline], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_every_value(self) -> Self:
        for name, pipeline in self.pipelines.items():
            for measured in self.measures:
                if measured not in pipeline.measures:
                    raise ValueError(f"pipeline {name!r} has no {measured}")
                values = pipeline.per_query.get(measured, {})
                if len(values) != self.collection.queries:
                    raise ValueError(
                        f"pipeline {name!r} has {measured} of {len(values)} queries, not of {self.collection.queries}"
                    )
                stored, mean = pipeline.measures[measured], sum(values.values()) / max(len(values), 1)
                if abs(mean - stored) > 2 * ROUNDING:  # each of the two is rounded
                    raise ValueError(
                        f"pipeline {name!r} has {measured} {stored:g}, but the mean of its queries is {mean:.6f}"
                    )
        return self


@dataclass(frozen=True, slots=True)
class Baseline:
    """A stored evaluation."""

    file: Path
    figures: Figures

    @property
    def k(self) -> int:
        return int(self.figures["k"])

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(self.figures["measures"])

    @property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """As they were asked for."""
        return tuple(
            Pipeline(name, pipeline["declared_stage"], pipeline["overrides"])
            for name, pipeline in self.figures["pipelines"].items()
        )

    def check_collection(self, collection: Collection) -> None:
        """Raises SettingsError where the baseline was taken on other queries or judgments."""
        known = self.figures["collection"]
        if known["fingerprint"] != collection.fingerprint:
            raise SettingsError(
                f"the baseline {self.file} was taken on other data: {known['queries']} queries of {known['name']} "
                f"({known['fingerprint']}), and these are {len(collection.queries)} of {collection.name} "
                f"({collection.fingerprint}); give it the same queries and judgments, or write a new one: "
                "--write-baseline"
            )
        query_ids = {query.query_id for query in collection.queries}
        for pipeline in self.figures["pipelines"].values():
            for measured in self.measures:
                if unknown := sorted(pipeline["per_query"][measured].keys() - query_ids):
                    raise SettingsError(
                        f"the baseline {self.file} has {measured} of query {unknown[0]!r}, which is not in "
                        f"{collection.name}; write it anew with --write-baseline"
                    )

    def check_bounds(self, bounds: Bounds) -> None:
        """Raises SettingsError for a bound on something that is not measured."""
        for name in bounds.max_drop:
            if name not in self.measures:
                raise SettingsError(
                    f"the baseline {self.file} has no {name}, only {', '.join(self.measures)}; write a new one that "
                    f"has: --write-baseline --measures {','.join([*self.measures, name])}"
                )
        pipelines = self.figures["pipelines"]
        known = {*TIMED, *pipelines, *(stage for pipeline in pipelines.values() for stage in pipeline["stages_ms"])}
        for name in bounds.max_p95_ms:
            if name not in known:
                raise SettingsError(
                    f"no pipeline or stage {name!r} has a latency; there are {', '.join(sorted(known))}"
                )


def read_baseline(file: Path) -> Baseline:
    """A baseline as `connector gate --write-baseline` or `connector eval --json` wrote it. Raises SettingsError."""
    if not file.exists():
        raise SettingsError(f"there is no baseline {file}; write one with --write-baseline")
    try:
        figures = json.loads(read_text(file), parse_constant=_no_number)
        if not isinstance(figures, dict) or figures.get("format") != FORMAT:
            raise SettingsError(
                f"{file} is no baseline of this version ({FORMAT}); write it anew with --write-baseline"
            )
        StoredEvaluation.model_validate(figures)
    except SourceError as error:
        raise SettingsError(str(error)) from None
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{file}:{error.lineno} is not JSON ({error.msg}); write the baseline anew with --write-baseline"
        ) from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place, reason = ".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")
        fault = ": ".join(filter(None, (place, reason)))
        raise SettingsError(f"{file} is no whole baseline: {fault}; write it anew with --write-baseline") from None
    except ValueError as error:
        raise SettingsError(f"{file} is no baseline: {error}; write it anew with --write-baseline") from None
    return Baseline(file, figures)


def write_baseline(file: Path, evaluation: Evaluation) -> None:
    """Keep an evaluation to hold later ones against. Raises SettingsError where it cannot be written."""
    try:
        write_whole(file, json.dumps(build_baseline(evaluation), indent=1, default=str) + "\n")
    except OSError as error:
        raise SettingsError(f"cannot write the baseline to {file} ({error.strerror}); choose another place") from None


def parse_bounds(max_drop: Sequence[str], max_p95_ms: Sequence[str], *, max_degraded: int, k: int) -> Bounds:
    """Bounds from NAME=NUMBER; where no drop is given, nDCG@k may fall by MAX_DROP. Raises SettingsError."""
    drops = _pairs(max_drop or [f"nDCG@{k}={MAX_DROP}"], "--max-drop")
    named = {check_measures([name])[0]: bound for name, bound in drops.items()}
    return Bounds(named, _pairs(max_p95_ms, "--max-p95-ms"), max_degraded)


def judge(evaluation: Evaluation, baseline: Baseline, bounds: Bounds) -> list[Verdict]:
    """Every figure of every pipeline beside the baseline's, then the budgets of stages."""
    stages = {name: bound for name, bound in bounds.max_p95_ms.items() if name not in evaluation.names}
    possible = {
        name: {measured: interval.high for measured, interval in pipeline.bounds.items()}
        for name, pipeline in find_unjudged(evaluation).pipelines.items()
    }
    return [
        *(
            verdict
            for pipeline in evaluation.pipelines
            for verdict in _judge_pipeline(pipeline, baseline, bounds, possible[pipeline.name])
        ),
        *(verdict for name, bound in stages.items() for verdict in _judge_stage(name, bound, evaluation, baseline)),
    ]


def changed_settings(evaluation: Evaluation, baseline: Baseline) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Pipeline -> path -> (then, now) of the settings that make a difference to its ranking, and of what it ran on."""
    changed = {}
    for pipeline in evaluation.pipelines:
        before = baseline.figures["pipelines"][pipeline.name]
        then = before["settings"] | {name: before["facts"].get(name) for name in FACTS}
        now = telling_settings(pipeline.search.settings) | {name: pipeline.facts.get(name) for name in FACTS}
        now = json.loads(json.dumps(now))
        changed[pipeline.name] = {
            path: (then.get(path), now.get(path)) for path in then | now if then.get(path) != now.get(path)
        }
    return {name: paths for name, paths in changed.items() if paths}


def _judge_pipeline(
    current: Measured, baseline: Baseline, bounds: Bounds, possible: Mapping[str, float]
) -> Iterator[Verdict]:
    name, before = current.pipeline.name, baseline.figures["pipelines"][current.pipeline.name]
    for measured in baseline.measures:
        then, now, drop = before["measures"][measured], current.mean(measured), bounds.max_drop.get(measured)
        yield Verdict(
            name,
            measured,
            then,
            now,
            None if drop is None else then - drop,
            drop is not None and then - now > drop + ROUNDING,
            randomisation_test(differences(current.values[measured], before["per_query"][measured])),
            possible.get(measured),
        )
    then, now, budget = before["latency_ms"]["p95"], current.latency.p95, bounds.max_p95_ms.get(name)
    yield Verdict(name, "p95 ms", then, now, budget, budget is not None and now > budget)
    then, now = len(before["failed"]) + len(before["degraded"]), current.troubled
    yield Verdict(name, "failed or degraded", then, now, bounds.max_degraded, now > bounds.max_degraded)


def _judge_stage(name: str, budget: float, evaluation: Evaluation, baseline: Baseline) -> Iterator[Verdict]:
    """Each pipeline's own; a stage that no query came to has no time."""
    for pipeline in evaluation.pipelines:
        if name in pipeline.stages:
            before = baseline.figures["pipelines"][pipeline.name]["stages_ms"].get(name, {}).get("p95")
            now = pipeline.stages[name].p95
            yield Verdict(pipeline.name, f"{name} p95 ms", before, now, budget, now > budget)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number that can be compared")


def _pairs(given: Sequence[str], flag: str) -> dict[str, float]:
    """NAME=NUMBER as a mapping. The name may hold an equals sign: P(rel=2)@5=0.01."""
    pairs = {}
    for entry in given:
        name, equals, number = entry.rpartition("=")
        try:
            pairs[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals or not name or not pairs.get(name.strip(), -1) >= 0:
            raise SettingsError(f"{flag} takes NAME=NUMBER, a number of 0 or more, not {entry!r}")
    return pairs
