"""`connector gate`: fail where the search became worse than it was, or slower than it may be."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.collection import CollectionFlags, Html, SendingFlags, check_places, measure_names
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.reranker import RerankerName, with_reranker
from connector.cli.flags.settings import AsJson, SearchSettingsFlags
from connector.cli.progress import reporter_on_terminal
from connector.cli.stopping import say_when_stopped
from connector.errors import SettingsError
from connector.evaluation.defaults import CUTOFF, MAX_DEGRADED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.evaluation.evaluate import Evaluation
    from connector.evaluation.files.datasets import Collection
    from connector.evaluation.gate import Baseline, Bounds, Verdict
    from connector.evaluation.pipelines import PlannedSearch


@dataclass(frozen=True, slots=True)
class NewBaselineFlags:
    """What a new baseline holds."""

    PANEL: ClassVar[str] = "A new baseline"

    write: Annotated[bool, typer.Option("--write-baseline", help="Measure and write the baseline; judge nothing.")] = (
        False
    )
    pipelines: Annotated[
        str | None,
        typer.Option(
            "--pipelines", "-p", help="With --write-baseline: as in connector eval. [search: what callers get]"
        ),
    ] = None
    measures: Annotated[
        str | None, typer.Option(help="With --write-baseline: what to measure. [nDCG@k,RR@k,AP,R@k,Judged@k]")
    ] = None
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="With --write-baseline: the cutoff of the measures.")] = (
        CUTOFF
    )

    def check(self) -> None:
        """Raises SettingsError for what only a new baseline takes."""
        if not self.write and (self.pipelines or self.measures):
            raise SettingsError(
                "--pipelines and --measures go with --write-baseline; a stored baseline says itself what to measure"
            )


@dataclass(frozen=True, slots=True)
class BoundsFlags:
    """What must hold."""

    PANEL: ClassVar[str] = "Bounds"

    max_drop: Annotated[
        list[str] | None,
        typer.Option(
            "--max-drop", metavar="MEASURE=DROP", help="How far a mean may fall. Can be repeated. [nDCG@k=0.01]"
        ),
    ] = None
    max_p95_ms: Annotated[
        list[str] | None,
        typer.Option(
            "--max-p95-ms",
            metavar="NAME=MS",
            help="What 95 of 100 searches may take: of a pipeline or a stage. Can be repeated.",
        ),
    ] = None
    max_degraded: Annotated[
        int, typer.Option("--max-degraded", min=0, help="How many queries may fail or be degraded.")
    ] = MAX_DEGRADED

    def parse(self, *, k: int) -> Bounds:
        """Raises SettingsError."""
        from connector.evaluation.gate import parse_bounds

        return parse_bounds(self.max_drop or [], self.max_p95_ms or [], max_degraded=self.max_degraded, k=k)


@with_flag_groups
def gate(
    context: typer.Context,
    baseline_file: Annotated[Path, typer.Option("--baseline", "-b", metavar="FILE", help="The stored baseline.")],
    collection: CollectionFlags,
    new: NewBaselineFlags,
    limits: BoundsFlags,
    sending: SendingFlags,
    settings: SearchSettingsFlags,
    html: Html = None,
    as_json: AsJson = False,
    reranker: RerankerName = None,
) -> None:
    """Compare the search with a stored baseline, and fail if it became worse. Made for CI.

    What the baseline measured is measured again, on the same queries.

    Exit code: 0 all bounds hold; 1 one is broken; 2 it could not start, or the baseline is of other queries or
    judgments; 3 the cluster is away.

    Examples:

        connector gate examples/corpus --index kb --baseline quality.json --write-baseline

        connector gate examples/corpus --index kb --baseline quality.json --max-drop nDCG@10=0.01

        connector gate examples/corpus --index kb --baseline quality.json --max-p95-ms search=200
    """
    from connector.evaluation.gate import judge, read_baseline
    from connector.evaluation.pipelines import SEARCH, plan, read_pipelines

    say_when_stopped("nothing was judged or written; run it again")
    new.check()
    check_places(baseline_file if new.write else None, html)
    if new.write:
        settings_with = with_reranker(context, reranker, settings.reader())
        searches = plan(read_pipelines(new.pipelines or SEARCH), settings_with)
        measures = measure_names(new.measures, new.k)
        evaluation = _measure(collection.read(), searches, measures, new.k, sending)
        _keep(baseline_file, evaluation)
        is_worse = any(measured.troubled > limits.max_degraded for measured in evaluation.pipelines)
    else:
        baseline = read_baseline(baseline_file)
        bounds = limits.parse(k=baseline.k)
        baseline.check_bounds(bounds)
        judged = collection.read()
        baseline.check_collection(judged)
        searches = plan(baseline.pipelines, with_reranker(context, reranker, settings.reader()))
        evaluation = _measure(judged, searches, baseline.measures, baseline.k, sending)
        verdicts = judge(evaluation, baseline, bounds)
        _print(evaluation, baseline, verdicts, html, as_json=as_json)
        is_worse = any(verdict.broken for verdict in verdicts)
    raise typer.Exit(1 if is_worse else 0)


def _measure(
    collection: Collection, searches: Sequence[PlannedSearch], measures: tuple[str, ...], k: int, sending: SendingFlags
) -> Evaluation:
    from connector.evaluation.evaluate import evaluate

    with reporter_on_terminal() as reporter:
        return event_loop.run(
            evaluate(
                collection,
                searches,
                measures=measures,
                k=k,
                reuse_scores=sending.reuse_scores,
                warm_up=sending.warm_up,
                reporter=reporter,
            )
        )


def _keep(file: Path, evaluation: Evaluation) -> None:
    from connector.cli.tables.evaluation import print_troubles
    from connector.evaluation.gate import write_baseline

    write_baseline(file, evaluation)
    stderr.print(f"wrote {file}", highlight=False)
    print_troubles(evaluation)


def _print(
    evaluation: Evaluation, baseline: Baseline, verdicts: Sequence[Verdict], html: Path | None, *, as_json: bool
) -> None:
    from connector.cli.tables.evaluation import print_changes, print_troubles, verdicts_table
    from connector.cli.tables.unjudged import print_doubts
    from connector.evaluation.gate import changed_settings
    from connector.evaluation.report.figures import build_figures
    from connector.evaluation.report.html import write_html

    changes = changed_settings(evaluation, baseline)
    if html:
        write_html(html, build_figures(evaluation))
    if as_json:
        is_ok = not any(verdict.broken for verdict in verdicts)
        described = {
            "ok": is_ok,
            "verdicts": [
                asdict(verdict) | {"depends_on_unjudged": verdict.depends_on_unjudged} for verdict in verdicts
            ],
            "changed_settings": changes,
        }
        print(json.dumps(described, ensure_ascii=False, default=str))
    else:
        verdicts_table(verdicts, str(baseline.file))
        print_changes(changes)
    print_doubts(verdicts)
    print_troubles(evaluation)
