"""`connector tune`: the settings of a search that judged queries bear out, written to connector.yaml."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from connector import event_loop
from connector.cli.console import say
from connector.cli.flags.collection import CollectionFlags, check_places, parse_names
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson, SearchSettingsFlags
from connector.cli.progress import reporter_on_terminal
from connector.cli.stopping import say_when_stopped
from connector.errors import SettingsError
from connector.settings.load import CONFIG_FILE
from connector.tuning.goal import DEPTHS, WINDOWS, TuningGoal

if TYPE_CHECKING:
    from connector.settings.sections import Settings
    from connector.tuning.rewrite import Rewrite
    from connector.tuning.space import Space
    from connector.tuning.tune import Tuned

GOAL = TuningGoal()


@dataclass(frozen=True, slots=True)
class GoalFlags:
    """By what, and within what."""

    PANEL: ClassVar[str] = "How it is chosen"

    measure: Annotated[str, typer.Option(help="The measure that decides, of ir_measures.")] = GOAL.measured
    test_share: Annotated[
        float, typer.Option("--test-share", min=0.1, max=0.9, help="How much of the queries is kept to test on.")
    ] = GOAL.test_share
    budget_ms: Annotated[
        float | None,
        typer.Option("--budget-ms", min=0, metavar="MS", help="What 95 of 100 searches may take. [no limit]"),
    ] = GOAL.budget_ms
    min_recall: Annotated[
        float,
        typer.Option("--min-recall", min=0, max=1, help="Recall of the window below which recall is the problem."),
    ] = GOAL.min_recall
    timed: Annotated[
        int, typer.Option("--time-queries", min=1, help="How many queries are timed with each window.")
    ] = GOAL.timed

    def parse(self) -> TuningGoal:
        """Raises SettingsError for a measure that there is not."""
        from connector.evaluation.statistics.measures import check_measures

        (measured,) = check_measures([self.measure])
        return TuningGoal(measured, self.budget_ms, self.min_recall, self.timed, self.test_share)


@dataclass(frozen=True, slots=True)
class SpaceFlags:
    """What is tried."""

    PANEL: ClassVar[str] = "What is tried"

    models: Annotated[
        str | None,
        typer.Option(help="Rerankers of the worker to try beside the configured one. [all that the worker lists]"),
    ] = None
    depths: Annotated[
        str | None,
        typer.Option(help=f"Values of search.depth to try. [{','.join(map(str, DEPTHS))}]", metavar="N,..."),
    ] = None
    windows: Annotated[
        str | None,
        typer.Option(help=f"Windows of the rerank stage to try. [{','.join(map(str, WINDOWS))}]", metavar="N,..."),
    ] = None

    def parse(self, settings: Settings) -> Space:
        """Raises SettingsError for what are no numbers, or none that a search can have."""
        from connector.tuning.space import build_space

        return build_space(
            settings,
            depths=_numbers(self.depths, "--depths") or DEPTHS,
            windows=_numbers(self.windows, "--windows") or WINDOWS,
        )


@dataclass(frozen=True, slots=True)
class WritingFlags:
    """What is written, and where."""

    PANEL: ClassVar[str] = "Output"

    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The settings file to write. [the one in use, or connector.yaml]"
        ),
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False
    force: Annotated[
        bool, typer.Option("--force", help="Write even if it did worse than your settings on the test queries.")
    ] = False
    as_json: AsJson = False


@with_flag_groups
def tune(
    collection: CollectionFlags,
    wanted: GoalFlags,
    tried: SpaceFlags,
    writing: WritingFlags,
    settings: SearchSettingsFlags,
) -> None:
    """Choose the settings of a search on judged queries, test them on others, and write them.

    They are depth, fusion, window, blend, model, and whether to rerank at all. Half of the queries are kept for the
    test. For the others, each reranker scores every passage once, and hundreds of settings are worked out from that;
    the times of each window are measured on the real path. A reranker is taken only if it gains more than two standard
    errors, cross-validated, over the best search without one. Then your settings and the tuned ones are compared on
    the queries that were kept.

    Exit code: 0 written, or nothing to change; 1 the tuned settings did worse on the test queries or break the
    budget, and nothing was written; 2 it could not start; 3 the cluster is away.

    Examples:

        connector tune examples/corpus --index kb --dry-run

        connector tune examples/corpus --index kb --budget-ms 150 --models all-MiniLM-L6-v2,my-cross-encoder

        connector tune --topics topics.txt --qrels qrels.txt --set search.rerank=off --out tuned.yaml
    """
    from connector.tuning.split import split as split_queries

    say_when_stopped("no settings were written; run it again")
    loaded = settings.load()
    configured = loaded.require()
    space = tried.parse(configured)
    goal = wanted.parse()
    target = writing.out or loaded.file or Path(CONFIG_FILE)
    check_places(None if writing.dry_run else target)
    train, test = split_queries(collection.read(), test_share=goal.test_share)
    from connector.tuning.choice import values_of
    from connector.tuning.rewrite import rewrite
    from connector.tuning.tune import tune as run

    with reporter_on_terminal() as reporter:
        models = parse_names(tried.models)
        tuned = event_loop.run(run(train, test, configured, space, goal, models=models, reporter=reporter))
    is_refused = bool(tuned.refusals) and not writing.force
    rewritten = rewrite(
        target,
        values_of(configured, tuned.chosen.choice),
        in_use=loaded.file,
        writes=not writing.dry_run and not is_refused,
    )
    _report(tuned, rewritten, target, as_json=writing.as_json)
    raise typer.Exit(1 if is_refused else 0)


def _report(tuned: Tuned, rewritten: Rewrite, target: Path, *, as_json: bool) -> None:
    """Say what came of it."""
    from connector.cli.tables.evaluation import print_troubles
    from connector.cli.tables.tuning import print_tuning
    from connector.tuning.choice import values_of
    from connector.tuning.figures import build_tuning

    values = rewritten.values
    if as_json:
        figures = build_tuning(tuned, values, written=str(target) if rewritten.is_written else None)
        print(json.dumps(figures, ensure_ascii=False, default=str))
    else:
        print_tuning(tuned, values, values_of(tuned.settings, tuned.current))
    print_troubles(tuned.tested)
    for reason in tuned.refusals:
        say(reason, "red")
    say(_outcome(tuned, target, rewritten), "bold")
    for name in rewritten.overruled:
        say(f"{name} goes over {target} and says otherwise; take it out of the environment")


def _outcome(tuned: Tuned, target: Path, rewritten: Rewrite) -> str:
    if rewritten.is_written:
        return f"wrote {target}; look at it with: connector config show --changed"
    if not rewritten.values:
        return f"nothing to change: {target} has the tuned settings" if target.exists() else "nothing to change"
    if tuned.refusals:
        return f"{target} was not written; judge more queries, or take it nevertheless with --force"
    return f"{target} was not written (--dry-run)"


def _numbers(given: str | None, flag: str) -> list[int]:
    try:
        return [int(number) for number in parse_names(given)]
    except ValueError:
        raise SettingsError(f"{flag} takes whole numbers split by commas, such as 20,50") from None
