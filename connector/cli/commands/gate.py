"""`connector gate`: fail where the search became worse than it was, or slower than it may be."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.collection import (
    CollectionFlags,
    Data,
    Html,
    QrelsFile,
    Queries,
    ReuseScores,
    Split,
    TopicField,
    Topics,
    WarmUp,
    WorkerUrl,
    check_places,
    parse_names,
    reporter_on_terminal,
    settings_reader,
)
from connector.cli.flags.common import AsJson, ClusterUrl, ConfigFile, IndexName, Overrides
from connector.cli.flags.reranker import Reranker, with_reranker
from connector.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.evaluation.datasets import Collection
    from connector.evaluation.evaluate import Evaluation
    from connector.evaluation.pipelines import PlannedSearch


def gate(
    context: typer.Context,
    baseline_file: Annotated[Path, typer.Option("--baseline", "-b", metavar="FILE", help="The stored baseline.")],
    data: Data = None,
    topics: Topics = None,
    qrels: QrelsFile = None,
    topic_field: TopicField = None,
    split: Split = "test",
    queries: Queries = 0,
    write: Annotated[
        bool, typer.Option("--write-baseline", help="Measure and write the baseline; judge nothing.")
    ] = False,
    pipelines: Annotated[
        str | None,
        typer.Option(
            "--pipelines", "-p", help="With --write-baseline: as in connector eval. [search: what callers get]"
        ),
    ] = None,
    measures: Annotated[
        str | None, typer.Option(help="With --write-baseline: what to measure. [nDCG@k,RR@k,AP,R@k,Judged@k]")
    ] = None,
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="With --write-baseline: the cutoff of the measures.")] = 10,
    max_drop: Annotated[
        list[str] | None,
        typer.Option(
            "--max-drop", metavar="MEASURE=DROP", help="How far a mean may fall. Can be repeated. [nDCG@k=0.01]"
        ),
    ] = None,
    max_p95_ms: Annotated[
        list[str] | None,
        typer.Option(
            "--max-p95-ms",
            metavar="NAME=MS",
            help="What 95 of 100 searches may take: of a pipeline or a stage. Can be repeated.",
        ),
    ] = None,
    max_degraded: Annotated[
        int, typer.Option("--max-degraded", min=0, help="How many queries may fail or be degraded.")
    ] = 0,
    html: Html = None,
    as_json: AsJson = False,
    reuse_scores: ReuseScores = False,
    warm_up: WarmUp = False,
    cluster: ClusterUrl = None,
    index: IndexName = None,
    config: ConfigFile = None,
    worker_url: WorkerUrl = None,
    reranker: Reranker = None,
    override: Overrides = None,
) -> None:
    """Hold the search against a stored baseline, and fail where it became worse. Made for CI.

    What the baseline measured is measured again, on the same queries.

    Exit code: 0 all bounds hold; 1 one is broken; 2 it could not start, also where the baseline is of other queries or judgments;
    3 the cluster is away.

    Examples:

        connector gate examples/corpus --index kb --baseline quality.json --write-baseline

        connector gate examples/corpus --index kb --baseline quality.json --max-drop nDCG@10=0.01 --max-p95-ms search=200
    """
    from connector.cli.tables.evaluation import print_changes, print_troubles, verdicts_table
    from connector.evaluation.figures import build_figures
    from connector.evaluation.gate import changed_settings, judge, parse_bounds, read_baseline, write_baseline
    from connector.evaluation.html import write_html
    from connector.evaluation.measures import check_measures, default_measures
    from connector.evaluation.pipelines import SEARCH, plan, read_pipelines

    settings_with = settings_reader(config, override, cluster__url=cluster, index__name=index, rerank__url=worker_url)
    if not write and (pipelines or measures):
        raise SettingsError(
            "--pipelines and --measures go with --write-baseline; a stored baseline says itself what to measure"
        )
    check_places(baseline_file, html)
    judged = CollectionFlags(data, topics, qrels, topic_field, split, queries)
    times = {"reuse_scores": reuse_scores, "warm_up": warm_up}
    if write:
        settings_with = with_reranker(context, reranker, settings_with)
        searches = plan(read_pipelines(pipelines or SEARCH), settings_with)
        measured = check_measures(parse_names(measures) or default_measures(k))
        evaluation = _run(judged.read(), searches, measured, k, **times)
        write_baseline(baseline_file, evaluation)
        stderr.print(f"wrote {baseline_file}", highlight=False)
        print_troubles(evaluation)
        raise typer.Exit(1 if any(one.troubled > max_degraded for one in evaluation.pipelines) else 0)
    baseline = read_baseline(baseline_file)
    bounds = parse_bounds(max_drop or [], max_p95_ms or [], max_degraded=max_degraded, k=baseline.k)
    baseline.check_bounds(bounds)
    collection = judged.read()
    baseline.check_collection(collection)
    settings_with = with_reranker(context, reranker, settings_with)
    evaluation = _run(collection, plan(baseline.pipelines, settings_with), baseline.measures, baseline.k, **times)
    verdicts = judge(evaluation, baseline, bounds)
    broken = any(one.broken for one in verdicts)
    changes = changed_settings(evaluation, baseline)
    if html:
        write_html(html, build_figures(evaluation))
    if as_json:
        described = {"ok": not broken, "verdicts": [asdict(one) for one in verdicts], "changed_settings": changes}
        print(json.dumps(described, ensure_ascii=False, default=str))
    else:
        verdicts_table(verdicts, str(baseline_file))
        print_changes(changes)
    print_troubles(evaluation)
    raise typer.Exit(1 if broken else 0)


def _run(
    collection: Collection, searches: Sequence[PlannedSearch], measures: tuple[str, ...], k: int, **times: Any
) -> Evaluation:
    from connector.evaluation.evaluate import evaluate

    with reporter_on_terminal() as reporter:
        return event_loop.run(evaluate(collection, searches, measures=measures, k=k, reporter=reporter, **times))
