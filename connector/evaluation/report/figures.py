"""An evaluation as one JSON object: what `--json` prints, what the HTML report shows, and what a gate keeps as its
baseline."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from connector.evaluation.evaluate import Evaluation, Measured
from connector.evaluation.files.weights import equal_queries
from connector.evaluation.judges import find_judges
from connector.evaluation.machine import describe_machine
from connector.evaluation.rules import effect_of_rules
from connector.evaluation.statistics.curves import frontier, knee, recall_curve, recall_cutoffs
from connector.evaluation.statistics.measures import mean
from connector.evaluation.statistics.significance import Comparison, differences
from connector.evaluation.unjudged import find_unjudged
from connector.evaluation.verdict import build_verdict
from connector.settings.file import plain_value
from connector.settings.load import setting_names, setting_paths, value_at
from connector.settings.sections import Settings
from connector.types import Ranking

FORMAT = "connector-evaluation/1"
EXAMPLES = 5  # winners and losers of each pipeline
# what makes a difference to a ranking; where things are does not
TELLING = ("encoder", "index", "passages", "search", "rerankers")
PLACES = (r"index\.name", r"rerankers\.\w+\.(url|ca_cert)", r"encoder\.device")

Figures = dict[str, Any]


def build_figures(evaluation: Evaluation) -> Figures:
    """All figures of an evaluation."""
    figures = build_baseline(evaluation) | {
        "baseline": evaluation.baseline,
        "comparisons": {
            name: {pipeline: _rounded(comparison) for pipeline, comparison in evaluation.compare(name).items()}
            for name in evaluation.measures
        },
        "recall": _recall(evaluation),
        "frontier": frontier(
            {
                measured.pipeline.name: (measured.latency.p50, measured.mean(evaluation.measures[0]))
                for measured in evaluation.pipelines
            }
        ),
        "segments": {
            by: {name: _segment(evaluation, query_ids) for name, query_ids in segments.items()}
            for by, segments in evaluation.segments.items()
        },
        "rules": _rules(evaluation),
        "unjudged": _unjudged(evaluation),
        "judges": _judges(evaluation),
        "examples": {name: _examples(evaluation, name) for name in evaluation.names if name != evaluation.baseline},
    }
    return figures | {"verdict": build_verdict(figures)}


def build_baseline(evaluation: Evaluation) -> Figures:
    """The figures that a later evaluation can be held against: no query's text is among them."""
    collection = evaluation.collection
    return {
        "format": FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "collection": {
            "name": collection.name,
            "fingerprint": collection.fingerprint,
            "queries": len(collection.queries),
            "judgments": sum(map(len, collection.qrels.values())),
            "notes": list(collection.notes),
            "weighed_by": collection.weighed_by or None,
            "equal_queries": round(equal_queries(collection.weights, len(collection.queries)), 1),
            "weights": {query_id: _round(weight) for query_id, weight in collection.weights.items()},
        },
        "machine": describe_machine(),
        "k": evaluation.k,
        "measures": list(evaluation.measures),
        "pipelines": {pipeline.name: _pipeline(pipeline) for pipeline in evaluation.pipelines},
    }


def telling_settings(settings: Settings) -> dict[str, Any]:
    """Path -> value of the settings that make a difference to a ranking."""
    paths = [path for path in setting_paths(settings) if path.split(".")[0] in TELLING and not _hidden(path)]
    return {path: plain_value(value_at(settings, path)) for path in paths}


def _hidden(path: str) -> bool:
    return setting_names().is_secret(path) or any(re.fullmatch(place, path) for place in PLACES)


def _pipeline(measured: Measured) -> Figures:
    settings = telling_settings(measured.search.settings)
    known = [settings, measured.facts.get("encoder"), measured.facts.get("rerankers"), measured.stage]
    return {
        "stage": measured.stage,
        "declared_stage": measured.pipeline.stage,
        "overrides": dict(measured.pipeline.overrides),
        "settings": settings,
        "fingerprint": hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16],
        "facts": dict(measured.facts),
        "measures": {name: _round(measured.mean(name)) for name in measured.values},
        "latency_ms": asdict(measured.latency),
        "stages_ms": {stage: asdict(times) for stage, times in measured.stages.items()},
        "failed": dict(measured.failed),
        "degraded": {query_id: list(missing) for query_id, missing in measured.degraded.items()},
        "stages_ran": dict(measured.ran),
        "per_query": {
            name: {query_id: _round(value) for query_id, value in values.items()}
            for name, values in measured.values.items()
        },
    }


def _recall(evaluation: Evaluation) -> Figures:
    depth = max(pipeline.search.settings.search.depth for pipeline in evaluation.pipelines)
    cutoffs = recall_cutoffs(depth)
    curves = {
        pipeline.name: recall_curve(pipeline.run, evaluation.collection.qrels, cutoffs, pipeline.weights)
        for pipeline in evaluation.pipelines
    }
    found = {name: knee([*zip(map(float, cutoffs), curve, strict=True)]) for name, curve in curves.items()}
    return {
        "cutoffs": list(cutoffs),
        "pipelines": {
            name: {"values": [*map(_round, curve)], "knee": int(at[0]) if (at := found[name]) else None}
            for name, curve in curves.items()
        },
    }


def _segment(evaluation: Evaluation, query_ids: Sequence[str]) -> Figures:
    return {
        "queries": len(query_ids),
        "measures": {
            pipeline.name: {
                name: _round(mean({query_id: values[query_id] for query_id in query_ids}, pipeline.weights))
                for name, values in pipeline.values.items()
            }
            for pipeline in evaluation.pipelines
        },
    }


def _examples(evaluation: Evaluation, name: str) -> Figures:
    """The queries that gain and lose most against the baseline, each with both rankings."""
    pipeline, baseline, measured = evaluation.named(name), evaluation.named(evaluation.baseline), evaluation.measures[0]
    before, now = baseline.values[measured], pipeline.values[measured]
    gains = dict(zip(before, differences(now, before).tolist(), strict=True))
    texts = {query.query_id: query.text for query in evaluation.collection.queries}

    def show(query_id: str) -> Figures:
        grades = evaluation.collection.qrels[query_id]
        return {
            "query_id": query_id,
            "text": texts[query_id],
            "before": _round(before[query_id]),
            "now": _round(now[query_id]),
            "rankings": {
                measured.pipeline.name: _graded(measured.run.get(query_id, ())[: evaluation.k], grades)
                for measured in (baseline, pipeline)
            },
        }

    ordered = sorted(gains, key=lambda query_id: (-gains[query_id], query_id))
    winners = [query_id for query_id in ordered[:EXAMPLES] if gains[query_id] > 0]
    losers = [query_id for query_id in ordered[: -EXAMPLES - 1 : -1] if gains[query_id] < 0]
    return {"winners": [*map(show, winners)], "losers": [*map(show, losers)]}


def _rules(evaluation: Evaluation) -> Figures | None:
    effect = effect_of_rules(evaluation)
    return asdict(effect) | {"gain": _rounded(effect.gain)} if effect else None


def _unjudged(evaluation: Evaluation) -> Figures:
    """What the unjudged documents could change."""
    found = find_unjudged(evaluation)
    return {
        "k": found.k,
        "highest_grade": found.highest,
        "count": found.count,
        "warnings": list(found.warnings),
        "pipelines": {name: _rounded_all(asdict(pipeline)) for name, pipeline in found.pipelines.items()},
        "comparisons": {
            name: _rounded_all(asdict(dependence)) | {"depends": dependence.depends}
            for name, dependence in found.comparisons.items()
        },
    }


def _judges(evaluation: Evaluation) -> Figures | None:
    """What each kind of judge makes of the pipelines; None where they are not told apart."""
    found = find_judges(evaluation)
    return _rounded_all(asdict(found)) | {"verdict": found.verdict} if found else None


def _graded(ranking: Ranking, grades: Mapping[str, int]) -> list[Figures]:
    return [{"doc_id": hit.doc_id, "grade": grades.get(hit.doc_id)} for hit in ranking]


def _rounded(comparison: Comparison) -> Figures:
    return _rounded_all(asdict(comparison))


def _rounded_all(values: Figures) -> Figures:
    """Every number among these, however deep."""

    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return _round(value)
        return _rounded_all(value) if isinstance(value, dict) else value

    return {name: rounded(value) for name, value in values.items()}


def _round(value: float) -> float:
    return round(value, 6)
