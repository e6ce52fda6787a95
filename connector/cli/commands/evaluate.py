"""`connector eval`: how good the rankings are on judged queries, and how long they take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from connector.cli.flags.reranker import Rerankers, fetch_offered, use_reranker
from connector.errors import SettingsError

if TYPE_CHECKING:
    from connector.evaluation.evaluate import Evaluation
    from connector.evaluation.pipelines import Pipeline
    from connector.settings.sections import Settings


def evaluate(
    context: typer.Context,
    data: Data = None,
    topics: Topics = None,
    qrels: QrelsFile = None,
    topic_field: TopicField = None,
    split: Split = "test",
    queries: Queries = 0,
    pipelines: Annotated[
        str | None,
        typer.Option(
            "--pipelines",
            "-p",
            help="Some of lexical, dense, fused, reranked, search; or a YAML file. [the first four]",
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", "-b", help="The pipeline that others are compared with. [the first]")
    ] = None,
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="The cutoff of the measures.")] = 10,
    measures: Annotated[
        str | None,
        typer.Option(help="Measures of ir_measures; the first one decides. [nDCG@k,RR@k,AP,R@k,Judged@k]"),
    ] = None,
    segment_by: Annotated[
        list[str] | None,
        typer.Option(
            "--segment-by",
            metavar="FIELD",
            help="A field of the queries, or length. Repeat for several. [kind, length]",
        ),
    ] = None,
    show: Annotated[
        int, typer.Option("--show", min=0, help="How many winners and losers to print, with both rankings.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Write figures.json, report.html and a TREC run of each pipeline."
        ),
    ] = None,
    html: Html = None,
    as_json: AsJson = False,
    reuse_scores: ReuseScores = False,
    warm_up: WarmUp = False,
    cluster: ClusterUrl = None,
    index: IndexName = None,
    config: ConfigFile = None,
    worker_url: WorkerUrl = None,
    rerankers: Rerankers = None,
    override: Overrides = None,
) -> None:
    """Measure rankings on queries with judgments, through the real path of the configured cluster.

    Ingest the documents first. Each query goes through every pipeline, one search at a time; means are over all judged queries, and
    one without an answer counts 0. A YAML file maps names of pipelines to settings: `wide: {rerank.window: 100}`.

    Exit code: 0 all queries were answered in full; 1 some failed or were degraded, as the tables say; 2 it could not start; 3 the
    cluster is away.

    Examples:

        connector eval examples/corpus --index kb

        connector eval examples/corpus -p pipelines.yaml --baseline fused --segment-by kind --out results

        connector eval examples/corpus --reranker cross-encoder/ettin-reranker-17m-v1 --reranker BAAI/bge-reranker-v2-m3

        connector eval --topics topics.txt --qrels qrels.txt -p lexical,fused --json > figures.json
    """
    from connector.evaluation.measures import check_measures, default_measures
    from connector.evaluation.pipelines import add_rerankers, plan, read_pipelines

    settings_with = settings_reader(config, override, cluster__url=cluster, index__name=index, rerank__url=worker_url)
    chosen = read_pipelines(pipelines) if pipelines else _default_pipelines(settings_with({}), bool(rerankers))
    plan(
        add_rerankers(chosen, {name: {"rerank.enabled": True} for name in rerankers or ()}), settings_with
    )  # before the work
    measured = check_measures(parse_names(measures) or default_measures(k))
    check_places(html)
    collection = CollectionFlags(data, topics, qrels, topic_field, split, queries).read()
    if out:
        _make_folder(out)
    used = {name: use_reranker(context, name, settings_with({})) for name in dict.fromkeys(rerankers or ())}
    searches = plan(add_rerankers(chosen, used), settings_with)
    from connector.evaluation.evaluate import evaluate as run

    with reporter_on_terminal() as reporter:
        evaluation = event_loop.run(
            run(
                collection,
                searches,
                measures=measured,
                k=k,
                baseline=baseline,
                segment_by=segment_by or (),
                reuse_scores=reuse_scores,
                warm_up=warm_up,
                reporter=reporter,
            )
        )
    from connector.cli.tables.evaluation import print_evaluation, print_examples, print_troubles
    from connector.evaluation.figures import build_figures
    from connector.evaluation.html import write_html

    figures = build_figures(evaluation)
    if html:
        write_html(html, figures)
    if out:
        _write_all(out, evaluation, figures)
        stderr.print(f"wrote report.html, figures.json and runs/ to {out}", highlight=False)
    if as_json:
        print(json.dumps(figures, ensure_ascii=False, default=str))
    else:
        print_evaluation(evaluation, figures)
        print_examples(evaluation, figures, show)
    print_troubles(evaluation)
    raise typer.Exit(1 if any(one.troubled for one in evaluation.pipelines) else 0)


def _default_pipelines(settings: Settings, has_rerankers: bool) -> tuple[Pipeline, ...]:
    """The stages of a search; where rerankers are named, without the one of a worker that is not there."""
    from connector.evaluation.pipelines import default_pipelines

    stages = default_pipelines(settings)
    if not has_rerankers or not settings.rerank.enabled or fetch_offered(settings) is not None:
        return stages
    stderr.print(f"no worker answers at {settings.rerank.url}: without the pipeline reranked", highlight=False)
    return tuple(one for one in stages if one.stage != "reranked")


def _make_folder(folder: Path) -> None:
    """Before the work, so that it is not lost for want of a place."""
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"cannot make the folder {folder} ({error.strerror}); choose another place") from None


def _write_all(folder: Path, evaluation: Evaluation, figures: dict[str, object]) -> None:
    from connector.evaluation.html import write_html
    from connector.evaluation.trec import write_run

    write_html(folder / "report.html", figures)
    (folder / "figures.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False, default=str) + "\n")
    for one in evaluation.pipelines:
        write_run(folder / "runs" / f"{one.pipeline.name}.run", one.run, one.pipeline.name)
