"""`connector judge pool`: pipelines run on the queries of a judging folder, and what they find is pooled."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from connector import event_loop
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson, SearchSettingsFlags
from connector.cli.progress import reporter_on_terminal
from connector.cli.stopping import say_when_stopped
from connector.errors import SettingsError
from connector.judging.defaults import DEPTH, SEED

if TYPE_CHECKING:
    from connector.evaluation.pipelines import Pipeline
    from connector.judging.folder import JudgingFolder
    from connector.judging.pooling.pool import Pool, Pooling
    from connector.judging.pooling.runs import PipelineRuns

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A judging folder, with queries.")]


@dataclass(frozen=True, slots=True)
class PoolingFlags:
    """What is pooled, and in which order it is to be judged."""

    PANEL: ClassVar[str] = "The pool"

    pipelines: Annotated[
        list[str] | None,
        typer.Option(
            "--pipeline",
            "-p",
            metavar="NAME",
            help="One of lexical, dense, fused, reranked, search, or a YAML file of pipelines; repeatable. [the runs "
            "that the folder has]",
        ),
    ] = None
    k: Annotated[
        int | None,
        typer.Option(
            "-k", "--k", min=1, help=f"How many documents of each pipeline. [as the pool was made, or {DEPTH}]"
        ),
    ] = None
    order: Annotated[
        str | None,
        typer.Option(
            help="depth: the first of all, then the second; move-to-front: where relevant ones were found; decide: "
            "what tells pipelines apart soonest. [as the pool was made, or depth]"
        ),
    ] = None
    seed: Annotated[int | None, typer.Option(help=f"What breaks ties. [as the pool was made, or {SEED}]")] = None
    fields: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME", help="A field to show; repeatable. [the index's text fields]"),
    ] = None

    def pooling(self, folder: JudgingFolder) -> Pooling:
        """What is not given is as the folder's pool was made. Raises SettingsError, SourceError."""
        from connector.judging.pooling.next_pairs import ORDERS
        from connector.judging.pooling.pool import Pooling

        facts, orders = folder.pool_facts(), {str(order): order for order in ORDERS}
        order = self.order or facts.order
        if order not in orders:
            raise SettingsError(f"--order takes {', '.join(orders)}, not {order!r}")
        seed = facts.seed if self.seed is None else self.seed
        return Pooling(self.k or facts.depth, orders[order], seed, tuple(self.fields or ()))

    def named(self) -> tuple[Pipeline, ...]:
        """The pipelines, each once. Raises SettingsError, also for two of one name."""
        from connector.evaluation.pipelines import read_pipelines

        found = [pipeline for given in self.pipelines or () for pipeline in read_pipelines(given)]
        names = [pipeline.name for pipeline in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SettingsError(f"two pipelines are called {twice[0]!r}; name one of them otherwise")
        return tuple(found)


@with_flag_groups
def pool(folder: Folder, pooling: PoolingFlags, settings: SearchSettingsFlags, as_json: AsJson = False) -> None:
    """Run pipelines on the queries of a folder, and pool their first documents: the pairs to judge.

    The runs go to runs/NAME.run, and all runs that lie there are pooled: those of earlier calls, and others in TREC's
    format. A pair that has a grade is not asked for again.

    Exit code: 0 all queries were answered in full; 1 some failed or were degraded, as it says; 2 it could not start; 3
    the cluster is away.

    Examples:

        connector judge pool judged --pipeline lexical --pipeline reranked --index kb

        connector judge pool judged --pipeline pipelines.yaml -k 20 --order decide
    """
    say_when_stopped("the pool is as it was; run it again")
    pipelines, read = pooling.named(), settings.reader()
    from connector.cli.tables.pool import print_pool
    from connector.evaluation.pipelines import plan
    from connector.judging.folder import JudgingFolder
    from connector.judging.pooling.pool import make_pool, write_runs
    from connector.judging.pooling.runs import PipelineRuns, run_pipelines

    searches = plan(pipelines, read)
    opened = JudgingFolder.open(folder)
    wanted = pooling.pooling(opened)
    found = PipelineRuns({}, {}, {}, {})
    if searches:
        with reporter_on_terminal() as reporter:
            found = event_loop.run(run_pipelines(opened.queries(), searches, wanted, reporter=reporter))
    with opened.alone():  # so that of two commands at once the later one pools the runs of both
        if searches:
            write_runs(opened, found.runs)
        made = make_pool(opened, wanted, found.contents)
    if as_json:
        print(json.dumps(_facts(opened, found, made)))
    else:
        print_pool(opened, found, made)
    raise typer.Exit(1 if any(found.failed.values()) or any(found.degraded.values()) else 0)


def _facts(folder: JudgingFolder, found: PipelineRuns, made: Pool) -> dict[str, object]:
    return {
        "runs": list(folder.runs()),
        "failed": {name: dict(reasons) for name, reasons in found.failed.items()},
        "degraded": {name: dict(reasons) for name, reasons in found.degraded.items()},
        "pairs": len(made.pairs),
        "new": made.new,
        "graded": made.graded,
        "left": made.left,
        "not_found": made.not_found,
        "expected": [asdict(difference) for difference in made.expected],
    }
