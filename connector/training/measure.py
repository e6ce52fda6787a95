"""The base and the trained model beside each other on queries that the training did not see, through the real path."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from connector.evaluation.defaults import CUTOFF
from connector.evaluation.evaluate import Evaluation, Reporter, evaluate
from connector.evaluation.files.datasets import Collection
from connector.evaluation.gate import Baseline, Bounds, Verdict, judge
from connector.evaluation.pipelines import Pipeline, plan
from connector.evaluation.report.figures import build_baseline
from connector.evaluation.statistics.measures import default_measures
from connector.remote.process import running_worker
from connector.settings.file import plain_value
from connector.settings.sections import Settings

BEFORE, AFTER, FUSED = "before", "after", "fused"
DEADLINE_S = 60.0


async def measure_both(
    base: str,
    trained: Path,
    collection: Collection,
    settings_with: Callable[[Mapping[str, Any]], Settings],
    reporter: Reporter = Reporter(),
) -> Evaluation:
    """The pipelines fused (no rerank), before (the base) and after (the trained model), in one run with a worker of its
    own."""
    models = {AFTER: {"model": str(trained.resolve())}}
    arguments = ["--model", base, "--set", f"worker.models={json.dumps(models)}"]
    with running_worker(arguments, own_settings=True) as worker:
        stage = settings_with({}).first_stage
        reranker = f"rerankers.{stage.reranker}"
        ours = {"search.rerank": [plain_value(stage)], f"{reranker}.url": worker.url, "search.deadline_s": DEADLINE_S}
        pipelines = (
            Pipeline(FUSED, "fused", ours),
            Pipeline(BEFORE, "reranked", ours),
            Pipeline(AFTER, "reranked", ours | {f"{reranker}.model": AFTER}),
        )
        return await evaluate(
            collection,
            plan(pipelines, settings_with),
            measures=default_measures(CUTOFF),
            k=CUTOFF,
            baseline=BEFORE,
            reporter=reporter,
        )


def verdicts(evaluation: Evaluation, *, max_drop: float) -> list[Verdict]:
    """The gate on the trained model, against the base and against no rerank at all: nDCG@10 may fall by `max_drop`."""
    bounds = Bounds({f"nDCG@{CUTOFF}": max_drop}, {})
    return [verdict for against in (BEFORE, FUSED) for verdict in _judge(evaluation, against, bounds)]


def _judge(evaluation: Evaluation, against: str, bounds: Bounds) -> list[Verdict]:
    name = f"{AFTER} against {against}"
    then, now = (_renamed(evaluation, pipeline, name) for pipeline in (against, AFTER))
    return judge(now, Baseline(Path(against), json.loads(json.dumps(build_baseline(then), default=str))), bounds)


def _renamed(evaluation: Evaluation, pipeline: str, name: str) -> Evaluation:
    """The evaluation of one pipeline, under another name."""
    measured = evaluation.named(pipeline)
    return replace(
        evaluation, pipelines=(replace(measured, pipeline=replace(measured.pipeline, name=name)),), baseline=name
    )
