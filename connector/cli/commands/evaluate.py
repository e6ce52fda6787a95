"""`connector eval`: how good the rankings are on judged queries, and how long they take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.collection import CollectionFlags, Html, SendingFlags, check_places, measure_names
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.reranker import RerankerNames, fetch_offered, use_reranker
from connector.cli.flags.settings import AsJson, SearchSettingsFlags, SettingsReader
from connector.cli.progress import reporter_on_terminal
from connector.cli.stopping import say_when_stopped
from connector.evaluation.defaults import CUTOFF

if TYPE_CHECKING:
    from connector.evaluation.evaluate import Evaluation
    from connector.evaluation.files.datasets import Collection
    from connector.evaluation.pipelines import Pipeline, PlannedSearch
    from connector.evaluation.report.folder import EvaluationFolder


@dataclass(frozen=True, slots=True)
class MeasuringFlags:
    """What is measured, and against what."""

    PANEL: ClassVar[str] = "What is measured"

    pipelines: Annotated[
        str | None,
        typer.Option(
            "--pipelines",
            "-p",
            help="Some of lexical, dense, fused, reranked, search; or a YAML file. [the first four]",
        ),
    ] = None
    baseline: Annotated[
        str | None, typer.Option("--baseline", "-b", help="The pipeline that others are compared with. [the first]")
    ] = None
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="The cutoff of the measures.")] = CUTOFF
    measures: Annotated[
        str | None,
        typer.Option(help="Measures of ir_measures; the first one decides. [nDCG@k,RR@k,AP,R@k,Judged@k]"),
    ] = None
    segment_by: Annotated[
        list[str] | None,
        typer.Option(
            "--segment-by",
            metavar="FIELD",
            help="A field of the queries, or length. Repeat for several. [kind, length]",
        ),
    ] = None

    weigh_by: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="A field with a number: how much a query counts in means and tests, such as frequency. [all alike]",
        ),
    ] = None

    def weighed(self, collection: Collection) -> Collection:
        """The collection with the weights that are asked for. Raises SettingsError."""
        return collection.weighed(self.weigh_by) if self.weigh_by else collection


@dataclass(frozen=True, slots=True)
class ReportFlags:
    """Where the figures go."""

    PANEL: ClassVar[str] = "Output"

    show: Annotated[
        int, typer.Option("--show", min=0, help="How many winners and losers to print, with both rankings.")
    ] = 0
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Write figures.json, report.html and a TREC run of each pipeline."
        ),
    ] = None
    html: Html = None
    as_json: AsJson = False

    def make_folder(self) -> EvaluationFolder | None:
        """The folder, where one is named. Raises SettingsError."""
        from connector.evaluation.report.folder import EvaluationFolder

        return EvaluationFolder.make(self.out) if self.out else None


@with_flag_groups
def evaluate(
    context: typer.Context,
    collection: CollectionFlags,
    measuring: MeasuringFlags,
    sending: SendingFlags,
    report: ReportFlags,
    settings: SearchSettingsFlags,
    rerankers: RerankerNames = None,
) -> None:
    """Measure rankings on queries with judgments, through the real path of the configured cluster.

    Ingest the documents first. Each query goes through every pipeline, one search at a time; means are over all judged
    queries, and one without an answer counts 0. A YAML file maps names of pipelines to settings:
    `wide: {search.rerank: {window: 100}}`.

    Exit code: 0 all queries were answered in full; 1 some failed or were degraded, as the tables say; 2 it could not
    start; 3 the cluster is away.

    Examples:

        connector eval examples/corpus --index kb

        connector eval examples/corpus -p pipelines.yaml --baseline fused --segment-by kind --out results

        connector eval examples/corpus --reranker cross-encoder/ettin-reranker-17m-v1 --reranker BAAI/bge-reranker-v2-m3

        connector eval --topics topics.txt --qrels qrels.txt -p lexical,fused --json > figures.json
    """
    say_when_stopped("no figures were written; run it again")
    settings_with = settings.reader()
    pipelines = _find_pipelines(measuring.pipelines, settings_with, has_rerankers=bool(rerankers))
    _plan(context, pipelines, settings_with, rerankers or (), is_trial=True)  # refuses before the work
    measures = measure_names(measuring.measures, measuring.k)
    check_places(report.html)
    judged = measuring.weighed(collection.read())
    folder = report.make_folder()
    searches = _plan(context, pipelines, settings_with, rerankers or ())
    from connector.evaluation.evaluate import evaluate as run

    with reporter_on_terminal() as reporter:
        evaluation = event_loop.run(
            run(
                judged,
                searches,
                measures=measures,
                k=measuring.k,
                baseline=measuring.baseline,
                segment_by=measuring.segment_by or (),
                reuse_scores=sending.reuse_scores,
                warm_up=sending.warm_up,
                reporter=reporter,
            )
        )
    _print(evaluation, report, folder)
    raise typer.Exit(1 if any(measured.troubled for measured in evaluation.pipelines) else 0)


def _find_pipelines(given: str | None, settings_with: SettingsReader, *, has_rerankers: bool) -> tuple[Pipeline, ...]:
    """Those that are named, or the stages of a search; where rerankers are named, without the one of a worker that is
    not there."""
    from connector.evaluation.pipelines import default_pipelines, pipelines_of_worker, read_pipelines

    if given:
        return read_pipelines(given)
    settings = settings_with({})
    if not has_rerankers:
        return default_pipelines(settings)

    def does_worker_answer() -> bool:
        if fetch_offered(settings) is not None:
            return True
        url = settings.first_reranker.url
        stderr.print(f"no worker answers at {url}: without the pipeline reranked", highlight=False)
        return False

    return pipelines_of_worker(settings, does_worker_answer)


def _plan(
    context: typer.Context,
    pipelines: tuple[Pipeline, ...],
    settings_with: SettingsReader,
    rerankers: Sequence[str],
    *,
    is_trial: bool = False,
) -> tuple[PlannedSearch, ...]:
    """The searches of the pipelines and of one more for each reranker. A trial starts no worker for these."""
    from connector.evaluation.pipelines import add_rerankers, plan

    if is_trial:
        return plan(add_rerankers(pipelines, {name: {"search.rerank": "on"} for name in rerankers}), settings_with)
    used = {name: use_reranker(context, name, settings_with({})) for name in dict.fromkeys(rerankers)}
    return plan(add_rerankers(pipelines, used), settings_with)


def _print(evaluation: Evaluation, report: ReportFlags, folder: EvaluationFolder | None) -> None:
    from connector.cli.tables.evaluation import print_evaluation, print_examples, print_troubles
    from connector.cli.tables.unjudged import print_warnings
    from connector.evaluation.report.figures import build_figures
    from connector.evaluation.report.html import write_html

    figures = build_figures(evaluation)
    if report.html:
        write_html(report.html, figures)
    if folder:
        folder.write(evaluation, figures)
        stderr.print(f"wrote report.html, figures.json and runs/ to {folder.path}", highlight=False)
    if report.as_json:
        print(json.dumps(figures, ensure_ascii=False, default=str))
    else:
        print_evaluation(evaluation, figures)
        print_examples(evaluation, figures, report.show)
    print_warnings(figures)
    print_troubles(evaluation)
