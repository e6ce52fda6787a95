"""An evaluation and a gate's verdicts on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from connector.cli.console import results, stderr
from connector.cli.tables.comparison import measures_table, rankings_table, times_table
from connector.cli.tables.judges import judges_table
from connector.cli.tables.unjudged import unjudged_table
from connector.evaluation.evaluate import Evaluation
from connector.evaluation.files.weights import equal_queries
from connector.evaluation.gate import Verdict
from connector.evaluation.rules import effect_of_rules
from connector.settings.file import to_text


def print_summary(evaluation: Evaluation) -> None:
    """Measures, comparisons and times to an answer, each as a table."""
    console = results()
    for table in (_measures(evaluation), _comparisons(evaluation), _times(evaluation)):
        console.print(table)
        console.print()


def print_evaluation(evaluation: Evaluation, figures: Mapping[str, Any]) -> None:
    """Measures, comparisons, segments and times, each as a table."""
    console = results()
    for table in (
        _measures(evaluation),
        *([_comparisons(evaluation)] if len(evaluation.pipelines) > 1 else []),
        *([unjudged_table(figures)] if figures["unjudged"]["count"] else []),
        *([judges_table(figures), figures["judges"]["verdict"]] if figures["judges"] else []),
        *(_segments(by, segments, evaluation) for by, segments in figures["segments"].items()),
        _times(evaluation),
        *_stage_times(evaluation),
        *_rules(evaluation),
    ):
        console.print(table)
        console.print()


def print_examples(evaluation: Evaluation, figures: Mapping[str, Any], count: int) -> None:
    """For each pipeline the queries that gain and lose most against the baseline, with both rankings."""
    console = results()
    before = evaluation.named(evaluation.baseline)
    for name, examples in figures["examples"].items():
        for example in (*examples["winners"][:count], *examples["losers"][:count]):
            query_id = example["query_id"]
            columns = {
                measured.pipeline.name: measured.run.get(query_id, ()) for measured in (before, evaluation.named(name))
            }
            change = f"{example['before']:.3f} → {example['now']:.3f}"
            title = f"{evaluation.measures[0]} {change}  {query_id} “{example['text']}”"
            grades = evaluation.collection.qrels[query_id]
            console.print(
                rankings_table(
                    title, columns, grades, rows=min(evaluation.k, 10), moved_from=columns[evaluation.baseline]
                )
            )
            console.print()


def print_troubles(evaluation: Evaluation) -> None:
    """Queries that failed or were degraded, by pipeline, with the first reason."""
    for measured in evaluation.pipelines:
        for troubles, outcome in ((measured.failed, "failed and count 0"), (measured.degraded, "were degraded")):
            if troubles:
                first = next(iter(troubles.values()))
                reason = first if isinstance(first, str) else "; ".join(first)
                stderr.print(
                    f"{measured.pipeline.name}: {len(troubles)} of {len(evaluation.collection.queries)} queries "
                    f"{outcome}; first: {reason}",
                    style="yellow",
                    highlight=False,
                )


def verdicts_table(verdicts: Sequence[Verdict], baseline: str) -> None:
    table = Table(title=Text(f"against {baseline}", style="bold"), title_justify="left", show_edge=False)
    for column in ("pipeline", "figure"):
        table.add_column(column, overflow="fold")
    for column in ("baseline", "now", "difference", "p", "bound"):
        table.add_column(column, justify="right", no_wrap=True)  # in a narrow terminal names are folded, not figures
    table.add_column("verdict", no_wrap=True)
    for verdict in verdicts:
        table.add_row(verdict.pipeline, verdict.figure, *_numbers(verdict), _verdict(verdict))
    results().print(table)


def print_changes(changes: Mapping[str, Mapping[str, tuple[Any, Any]]]) -> None:
    """The settings that are other than the baseline's."""
    for pipeline, paths in changes.items():
        for path, (then, now) in paths.items():
            stderr.print(f"{pipeline}: {path} was {to_text(then)}, is {to_text(now)}", style="dim", highlight=False)


def _measures(evaluation: Evaluation) -> Table:
    collection = evaluation.collection
    title = (
        f"{collection.name}: {len(collection.queries)} judged queries{_weighed(evaluation)}, "
        f"index {evaluation.pipelines[0].facts['index']}"
    )
    return measures_table(
        title,
        {
            measured.pipeline.name: {name: measured.mean(name) for name in evaluation.measures}
            for measured in evaluation.pipelines
        },
    )


def _weighed(evaluation: Evaluation) -> str:
    """What the queries count by, and what that leaves of them."""
    collection = evaluation.collection
    if not collection.weighed_by:
        return ""
    worth = equal_queries(collection.weights, len(collection.queries))
    return f" weighed by {collection.weighed_by} (they say as much as {worth:.0f} of equal weight)"


def _comparisons(evaluation: Evaluation) -> Table:
    title = f"{evaluation.measures[0]} against {evaluation.baseline}"
    caption = "p: paired randomisation test; Holm: corrected for all rows"
    table = Table(title=title, title_justify="left", show_edge=False, caption=caption, caption_justify="left")
    table.add_column("pipeline", overflow="fold")
    for column in ("difference", "std. error", "better", "worse", "same", "p", "p (Holm)"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, comparison in evaluation.compare(evaluation.measures[0]).items():
        table.add_row(
            name,
            f"{comparison.difference:+.4f}",
            f"{comparison.standard_error:.4f}",
            *map(str, (comparison.better, comparison.worse, comparison.same)),
            f"{comparison.p:.4f}",
            Text(f"{comparison.p_holm:.4f}", "bold" if comparison.p_holm < 0.05 else ""),
        )
    return table


def _segments(by: str, segments: Mapping[str, Any], evaluation: Evaluation) -> Table:
    measured = evaluation.measures[0]
    table = Table(title=Text(f"{measured} by {by}"), title_justify="left", show_edge=False)
    table.add_column(Text(by))
    table.add_column("queries", justify="right")
    for name in evaluation.names:
        table.add_column(Text(name), justify="right")
    for name, segment in segments.items():
        values = [segment["measures"][pipeline][measured] for pipeline in evaluation.names]
        best = max(values)
        cells = [Text(f"{value:.3f}", "bold" if value == best else "") for value in values]
        table.add_row(Text(name), str(segment["queries"]), *cells)
    return table


def _times(evaluation: Evaluation) -> Table:
    return times_table(
        {measured.pipeline.name: measured.latency for measured in evaluation.pipelines},
        of="pipeline",
        title="milliseconds to an answer",
        percentiles=("p50", "p95", "p99"),
    )


def _stage_times(evaluation: Evaluation) -> list[Table]:
    """One table a search; pipelines that are stages of the same one share it."""
    searches = {id(measured.search): measured for measured in evaluation.pipelines}
    return [
        times_table(
            measured.stages,
            title="milliseconds of the stages of " + ", ".join(pipeline.name for pipeline in measured.search.pipelines),
            percentiles=("p50", "p95", "p99"),
        )
        for measured in searches.values()
    ]


def _rules(evaluation: Evaluation) -> list[Table]:
    """What the rules that leave stages out cost and save; nothing where there are none."""
    effect = effect_of_rules(evaluation)
    if effect is None:
        return []
    table = Table(title="the rules of the stages", title_justify="left", show_edge=False)
    for column in ("stage", "ran for", evaluation.measures[0], "p", "ms with them", "without"):
        table.add_column(column, justify="left" if column == "stage" else "right", no_wrap=True)
    gain, ms = (f"{effect.gain.difference:+.4f}", f"{effect.gain.p:.4f}"), (effect.with_ms, effect.without_ms)
    for position, (stage, ran) in enumerate(effect.ran.items()):
        whole = (*gain, *(f"{value:.1f}" for value in ms)) if position == 0 else ()
        table.add_row(stage, f"{ran} of {effect.queries}", *whole)
    return [table]


def _numbers(verdict: Verdict) -> list[str]:
    """A measure has four decimals, milliseconds have one, and counts none."""
    digits = 1 if verdict.figure.endswith("ms") else 0 if verdict.p is None else 4
    values = ["–" if value is None else f"{value:.{digits}f}" for value in (verdict.before, verdict.now)]
    difference = "–" if verdict.before is None else f"{verdict.now - verdict.before:+.{digits}f}"
    sign = "≥" if verdict.p is not None else "≤"
    return [
        *values,
        difference,
        "–" if verdict.p is None else f"{verdict.p:.4f}",
        "–" if verdict.bound is None else f"{sign} {verdict.bound:.{digits}f}",
    ]


def _verdict(verdict: Verdict) -> Text:
    if verdict.bound is None:
        return Text("–", "dim")
    return Text("broken", "bold red") if verdict.broken else Text("ok", "green")
