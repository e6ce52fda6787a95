"""`connector judge queries`: queries out of logs, for a judging folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from connector import event_loop
from connector.cli.console import say, stderr
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson, SettingsFlags
from connector.cli.progress import share_on_terminal
from connector.cli.stopping import say_when_stopped
from connector.errors import SettingsError
from connector.judging.defaults import PARAMETER, SAMPLE, SEED, TREATMENT

if TYPE_CHECKING:
    from connector.judging.logs.read import Entry, QueryLog
    from connector.judging.queries.sample import QueryChoice, TakenQueries

Logs = Annotated[
    list[str] | None, typer.Argument(metavar="[LOG]...", help="Files, each also .gz, .bz2 or .xz; - is a pipe.")
]
LoggedIndex = Annotated[
    str | None,
    typer.Option(
        "--from-index",
        metavar="NAME",
        help="In place of logs: an index that keeps queries, such as ubi_queries, in the field --column. [user_query]",
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="The judging folder that they go to.")]
Add = Annotated[bool, typer.Option("--add", help="Add to the queries that the folder has.")]


@dataclass(frozen=True, slots=True)
class LogFlags:
    """How the logs are read."""

    PANEL: ClassVar[str] = "The logs"

    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="lines, counted (as uniq -c writes them), csv, json, access (nginx, Apache) or slowlog. [by its "
            "first lines]",
        ),
    ] = None
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help=f"The parameter of an access log's addresses with the query; repeatable. [{PARAMETER}]"
        ),
    ] = None
    column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The column or field with the query; a dot leads into an object. [by name]"),
    ] = None
    count_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The one that says how often it was asked. [by name]")
    ] = None

    def open(self, locations: list[str]) -> list[QueryLog]:
        """The logs, with their formats known. Raises SettingsError, SourceError."""
        from connector.judging.logs.formats import KINDS
        from connector.judging.logs.read import LogOptions, QueryLog
        from connector.judging.logs.rows import Columns

        kinds = {str(kind): kind for kind in KINDS}
        if self.kind is not None and self.kind not in kinds:
            raise SettingsError(f"--format takes {', '.join(kinds)}, not {self.kind!r}")
        options = LogOptions(
            kind=kinds[self.kind] if self.kind else None,
            parameters=tuple(self.parameter or (PARAMETER,)),
            columns=Columns(self.column, self.count_column),
        )
        return [QueryLog(location, options) for location in locations]


@dataclass(frozen=True, slots=True)
class ChoiceFlags:
    """Which of them are taken."""

    PANEL: ClassVar[str] = "The sample"

    sample: Annotated[int, typer.Option("--sample", "-n", min=0, help="How many queries to take; 0: all.")] = SAMPLE
    seed: Annotated[int, typer.Option(help="Another seed draws another sample.")] = SEED
    min_frequency: Annotated[
        int, typer.Option(min=1, help="Leave out what was asked fewer times: rare queries may tell of a person.")
    ] = 1
    personal: Annotated[
        str,
        typer.Option(help="What looks like a person's data (mail addresses, long numbers): leave-out, mask or keep."),
    ] = TREATMENT

    def choice(self) -> QueryChoice:
        """Raises SettingsError."""
        from connector.judging.queries.sample import PERSONAL, QueryChoice

        treatments = {str(treatment): treatment for treatment in PERSONAL}
        if self.personal not in treatments:
            raise SettingsError(f"--personal takes {', '.join(treatments)}, not {self.personal!r}")
        return QueryChoice(self.sample, self.seed, self.min_frequency, treatments[self.personal])


@with_flag_groups
def queries(
    out: Out,
    log: LogFlags,
    which: ChoiceFlags,
    settings: SettingsFlags,
    logs: Logs = None,
    from_index: LoggedIndex = None,
    add: Add = False,
    as_json: AsJson = False,
) -> None:
    """Take queries out of a log, and draw a sample that is fair to frequent and rare ones.

    The format is recognised: lines, CSV, JSON Lines, access logs, slow logs of Elasticsearch and OpenSearch,
    `ubi_queries`, the events of Search UI, and Quepid's exports. Texts that differ only in capitals, blanks, codings of
    letters and punctuation at the end are one query.

    The sample has a third each from the head, the torso and the tail: the searches, ordered by how frequent their
    queries are, cut into three equal parts. In queries.jsonl, `stands_for` says how many searches of the log a query
    stands for: `connector eval FOLDER --weigh-by stands_for --segment-by band`.

    Examples:

        connector judge queries access.log.*.gz --out judged

        connector judge queries local_index_search_slowlog.json --out judged --min-frequency 3

        connector judge queries --from-index ubi_queries --cluster http://localhost:9200 --out judged

        connector judge queries searches.csv --column "search term" --count-column searches --out judged -n 500
    """
    say_when_stopped("no queries were written; run it again")
    choice = which.choice()
    if bool(logs) == bool(from_index):
        raise SettingsError("name the logs, or the index that keeps queries: --from-index ubi_queries")
    opened = log.open(logs or [])
    from connector.cli.tables.queries import print_queries
    from connector.judging.folder import JudgingFolder
    from connector.judging.queries.sample import held_keys, take_queries, write_queries

    folder = JudgingFolder.make(out)
    if folder.queries_file.is_file() and not add:
        write_queries(folder, ())  # refuses before the work
    with share_on_terminal("reading", "entries") as show:
        taken = take_queries(
            _fetch(settings, from_index, log.column) if from_index else _all_entries(opened),
            choice,
            held=held_keys(folder),
            on_entries=lambda count: show(sum(log.progress for log in opened) / max(len(opened), 1), count),
        )
    new = write_queries(folder, taken.sample, add=add)
    if as_json:
        print(json.dumps(_facts(taken, opened, new), ensure_ascii=False))
        return
    print_queries(taken, opened, choice.personal)
    say(f"wrote {new:,} queries to {folder.queries_file}", style=None)
    stderr.print(f"next: connector judge pool {out} --pipeline lexical --pipeline reranked", highlight=False)


def _all_entries(logs: list[QueryLog]) -> Iterator[Entry]:
    for log in logs:
        yield from log


def _fetch(settings: SettingsFlags, index: str, column: str | None) -> list[Entry]:
    """The different queries that an index keeps."""
    from connector.judging.logs.live import UBI_FIELD, read_logged
    from connector.wiring import opened_cluster

    async def fetch() -> list[Entry]:
        async with opened_cluster(settings.read()) as cluster:
            return [entry async for entry in read_logged(cluster, index, column or UBI_FIELD)]

    return event_loop.run(fetch())


def _facts(taken: TakenQueries, logs: list[QueryLog], new: int) -> dict[str, object]:
    return {
        "logs": {log.name: log.kind for log in logs},
        "entries": taken.tally.entries,
        "with_query": taken.tally.searches,
        "without_query": dict(taken.tally.no_search.most_common()),
        "unreadable": taken.tally.unreadable,
        "examples": [
            {"origin": entry.origin, "reason": getattr(entry.outcome, "reason", ""), "raw": entry.raw}
            for entry in taken.tally.examples
        ],
        "left_out": dict(taken.left_out.most_common()),
        "rare": taken.rare,
        "personal": dict(taken.personal.most_common()),
        "bands": {
            band: {
                "queries": taken.queries[band],
                "searches": taken.searches[band],
                "sampled": sum(sampled.band == band for sampled in taken.sample),
            }
            for band in ("head", "torso", "tail")
        },
        "written": new,
    }
