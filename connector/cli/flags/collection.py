"""What `connector eval` and `connector gate` share: their flags, the collection, the searches, a bar."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from connector.cli.console import stderr
from connector.cli.flags.common import read_settings
from connector.errors import SettingsError
from connector.settings.sections import Settings
from connector.settings.sources import NULL

if TYPE_CHECKING:  # the clients and torch are imported once the flags are known to be right
    from connector.evaluation.datasets import Collection
    from connector.evaluation.evaluate import Reporter

TELL_EVERY_S = 30.0

Data = Annotated[
    Path | None,
    typer.Argument(help="A folder in BEIR's layout: queries.jsonl, and qrels.tsv or qrels/SPLIT.tsv (each also .gz)."),
]
Topics = Annotated[
    Path | None,
    typer.Option("--topics", help="TREC topics, or lines of id, tab, text; with --qrels in place of a folder."),
]
QrelsFile = Annotated[Path | None, typer.Option("--qrels", help="TREC qrels for --topics.")]
TopicField = Annotated[
    str | None, typer.Option("--topic-field", help="The field of a topic that is searched for. [title, or query]")
]
Split = Annotated[str, typer.Option("--split", help="Which qrels of a folder that has several.")]
Queries = Annotated[
    int, typer.Option("--queries", min=0, help="A sample of that many queries, the same every time; 0: all.")
]
WorkerUrl = Annotated[str | None, typer.Option("--worker", help="The worker's URL. [CONNECTOR_RERANK_URL]")]
ReuseScores = Annotated[
    bool,
    typer.Option(
        "--reuse-scores", help="Let the worker give scores that it remembers: faster, but rerank times mean less."
    ),
]
WarmUp = Annotated[
    bool,
    typer.Option(
        "--warm-up", help="Send every query once before measuring, for times of a service that has been running."
    ),
]
Html = Annotated[Path | None, typer.Option("--html", help="Write a report with plots to this file.")]


@dataclass(frozen=True, slots=True)
class CollectionFlags:
    """Where queries and judgments are, as the flags have it."""

    data: Path | None
    topics: Path | None
    qrels: Path | None
    topic_field: str | None
    split: str
    queries: int

    def read(self) -> Collection:
        """The collection; what its files hold beside it is said. Raises SettingsError where the flags name none, or two;
        SourceError."""
        collection = self._read()
        for note in collection.notes:
            stderr.print(f"{collection.name}: {note}", style="yellow", highlight=False, markup=False)
        return collection.sample(self.queries)

    def _read(self) -> Collection:
        from connector.evaluation.datasets import read_collection
        from connector.evaluation.trec import read_trec

        if self.data and not (self.topics or self.qrels):
            return read_collection(self.data, split=self.split)
        if self.topics and self.qrels and not self.data:
            return read_trec(self.topics, self.qrels, field=self.topic_field)
        raise SettingsError("name the judged queries: a folder, or --topics FILE with --qrels FILE")


def settings_reader(
    config: Path | None, overrides: list[str] | None, **flags: Any
) -> Callable[[Mapping[str, Any]], Settings]:
    """A function that gives the settings of a pipeline: those of all sources, with its own on top. None takes back what
    they give."""

    def settings_with(own: Mapping[str, Any]) -> Settings:
        return read_settings(
            config,
            overrides,
            **flags | {path.replace(".", "__"): NULL if value is None else value for path, value in own.items()},
        )

    return settings_with


@contextmanager
def reporter_on_terminal() -> Iterator[Reporter]:
    """Notes on stderr, and a bar with the time that is left; where stderr is no terminal, a line now and then."""
    from connector.evaluation.evaluate import Reporter

    with Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    ) as progress:
        task = progress.add_task("loading", total=None)
        due = time.monotonic() + TELL_EVERY_S

        def begin(what: str, count: int) -> None:
            progress.reset(task, description=what, total=count)

        def done() -> None:
            nonlocal due
            progress.advance(task)
            if not stderr.is_terminal and time.monotonic() >= due:
                due = time.monotonic() + TELL_EVERY_S
                one = progress.tasks[0]
                stderr.print(f"{one.description}: {one.completed:.0f} of {one.total:.0f} done", highlight=False)

        yield Reporter(
            note=lambda text: stderr.print(text, style="yellow", highlight=False, markup=False), begin=begin, done=done
        )


def parse_names(given: str | None) -> list[str]:
    """Names split by commas, other than those within brackets."""
    return [name.strip() for name in re.split(r",(?![^(]*\))", given or "") if name.strip()]


def check_places(*files: Path | None) -> None:
    """Before the work, so that it is not lost for want of a place. Raises SettingsError."""
    for file in files:
        if file and not file.parent.is_dir():
            raise SettingsError(f"there is no folder {file.parent} for {file.name}; make it first")
