"""`connector tune`: the settings of a search that judged queries bear out, written to connector.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.collection import (
    CollectionFlags,
    Data,
    QrelsFile,
    Queries,
    Split,
    TopicField,
    Topics,
    WorkerUrl,
    check_places,
    parse_names,
    reporter_on_terminal,
)
from connector.cli.flags.common import AsJson, ClusterUrl, ConfigFile, IndexName, Overrides, read_loaded
from connector.errors import SettingsError
from connector.settings.load import CONFIG_FILE

if TYPE_CHECKING:
    from connector.tuning.tune import Tuned


def tune(
    data: Data = None,
    topics: Topics = None,
    qrels: QrelsFile = None,
    topic_field: TopicField = None,
    split: Split = "test",
    queries: Queries = 0,
    measure: Annotated[str, typer.Option(help="The measure that decides, of ir_measures.")] = "nDCG@10",
    test_share: Annotated[
        float, typer.Option("--test-share", min=0.1, max=0.9, help="How much of the queries is kept to test on.")
    ] = 0.5,
    budget_ms: Annotated[
        float | None,
        typer.Option("--budget-ms", min=0, metavar="MS", help="What 95 of 100 searches may take. [no limit]"),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(help="Rerankers of the worker to try beside the configured one. [all that the worker lists]"),
    ] = None,
    depths: Annotated[
        str | None, typer.Option(help="Values of search.depth to try. [20,50,100,200]", metavar="N,...")
    ] = None,
    windows: Annotated[
        str | None, typer.Option(help="Values of rerank.window to try. [10,20,50,100]", metavar="N,...")
    ] = None,
    min_recall: Annotated[
        float,
        typer.Option("--min-recall", min=0, max=1, help="Recall of the window below which ranking is not the problem."),
    ] = 0.7,
    timed: Annotated[
        int, typer.Option("--time-queries", min=1, help="How many queries are timed with each window.")
    ] = 40,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The settings file to write. [the one in use, or connector.yaml]"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write also what did worse than your settings on the test queries.")
    ] = False,
    as_json: AsJson = False,
    cluster: ClusterUrl = None,
    index: IndexName = None,
    config: ConfigFile = None,
    worker_url: WorkerUrl = None,
    override: Overrides = None,
) -> None:
    """Choose the settings of a search on judged queries, test them on others, and write them.

    They are depth, fusion, window, blend, model, and whether to rerank at all. Half of the queries are kept to test on. On the rest every passage is scored once by each reranker, and hundreds of settings are worked
    out from that; the times of each window are measured on the real path. A reranker is taken only where it gains more than two
    standard errors, cross-validated, over the best search without one. Then your settings and the tuned ones meet on the queries that were kept.

    Exit code: 0 written, or nothing to change; 1 the tuned settings did worse on the test queries or break the budget, and nothing was
    written; 2 it could not start; 3 the cluster is away.

    Examples:

        connector tune examples/corpus --index kb --dry-run

        connector tune examples/corpus --index kb --budget-ms 150 --models all-MiniLM-L6-v2,my-cross-encoder

        connector tune --topics topics.txt --qrels qrels.txt --set rerank.enabled=false --out tuned.yaml
    """
    from connector.evaluation.measures import check_measures
    from connector.tuning.choice import read_choice
    from connector.tuning.goal import DEPTHS, WINDOWS, TuningGoal
    from connector.tuning.space import build_space
    from connector.tuning.split import split as split_queries

    loaded = read_loaded(config, override, cluster__url=cluster, index__name=index, rerank__url=worker_url)
    settings = loaded.require()
    space = build_space(
        read_choice(settings),
        k=settings.search.k,
        depths=_numbers(depths, "--depths") or DEPTHS,
        windows=_numbers(windows, "--windows") or WINDOWS,
    )
    (measured,) = check_measures([measure])
    target = out or loaded.file or Path(CONFIG_FILE)
    check_places(target)
    train, test = split_queries(
        CollectionFlags(data, topics, qrels, topic_field, split, queries).read(), test_share=test_share
    )
    from connector.tuning.tune import tune as run

    goal = TuningGoal(measured, budget_ms, min_recall, timed, test_share)
    with reporter_on_terminal() as reporter:
        tuned = event_loop.run(run(train, test, settings, space, goal, models=parse_names(models), reporter=reporter))
    base = target if target.exists() else loaded.file
    _tell(tuned, target, base, writes=not dry_run and (force or not tuned.refusals), as_json=as_json)
    raise typer.Exit(1 if tuned.refusals and not force else 0)


def _tell(tuned: Tuned, target: Path, base: Path | None, *, writes: bool, as_json: bool) -> None:
    """Write where that is to be, and say what came of it."""
    from connector.cli.tables.evaluation import print_troubles
    from connector.tuning.figures import build_tuning
    from connector.tuning.rewrite import missing, overruled, write_settings

    choice, before = tuned.chosen.choice, tuned.current.all_values()
    values = missing(base, choice)
    writes = writes and bool(values)
    if writes:
        write_settings(target, values, base=base)
    if as_json:
        print(
            json.dumps(
                build_tuning(tuned, values, written=str(target) if writes else None), ensure_ascii=False, default=str
            )
        )
    else:
        from connector.cli.tables.tuning import print_tuning

        print_tuning(tuned, values, before)
    print_troubles(tuned.tested)
    for reason in tuned.refusals:
        _say(reason, "red")
    _say(_outcome(tuned, target, values, writes), "bold")
    if writes:
        for name in overruled(target, choice):
            _say(f"{name} goes over {target} and says otherwise; take it out of the environment", "yellow")


def _outcome(tuned: Tuned, target: Path, values: dict[str, Any], written: bool) -> str:
    if written:
        return f"wrote {target}; look at it with: connector config show --changed"
    if not values:
        return f"nothing to change: {target} has the tuned settings" if target.exists() else "nothing to change"
    if tuned.refusals:
        return f"{target} was not written; judge more queries, or take it nevertheless with --force"
    return f"{target} was not written (--dry-run)"


def _numbers(given: str | None, flag: str) -> list[int]:
    try:
        return [int(one) for one in parse_names(given)]
    except ValueError:
        raise SettingsError(f"{flag} takes whole numbers split by commas, such as 20,50") from None


def _say(text: str, style: str) -> None:
    stderr.print(text, style=style, highlight=False, markup=False)
