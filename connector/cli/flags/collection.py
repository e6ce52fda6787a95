"""Flags of the commands that work on judged queries: which queries, how they are sent, where a report goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from connector.cli.console import say
from connector.errors import SettingsError
from connector.evaluation.defaults import SPLIT
from connector.whole_file import check_writable

if TYPE_CHECKING:  # ir_measures is imported once the flags are known to be right
    from connector.evaluation.files.datasets import Collection

Data = Annotated[
    Path | None,
    typer.Argument(help="A folder in BEIR's layout: queries.jsonl, and qrels.tsv or qrels/SPLIT.tsv (each also .gz)."),
]
Html = Annotated[Path | None, typer.Option("--html", help="Write a report with plots to this file.")]


@dataclass(frozen=True, slots=True)
class CollectionFlags:
    """Where queries and judgments are."""

    PANEL: ClassVar[str] = "Judged queries"

    data: Data = None
    topics: Annotated[
        Path | None,
        typer.Option("--topics", help="TREC topics, or lines of id, tab, text; with --qrels in place of a folder."),
    ] = None
    qrels: Annotated[Path | None, typer.Option("--qrels", help="TREC qrels for --topics.")] = None
    topic_field: Annotated[
        str | None, typer.Option("--topic-field", help="The field of a topic that is searched for. [title, or query]")
    ] = None
    split: Annotated[str, typer.Option("--split", help="Which qrels of a folder that has several.")] = SPLIT
    judged_by: Annotated[
        str | None,
        typer.Option(
            "--judged-by",
            metavar="KIND",
            help="With a folder of connector judge: only the grades of person, model, clicks or imported; all: every "
            "grade, and in eval also each kind apart.",
        ),
    ] = None
    queries: Annotated[
        int, typer.Option("--queries", min=0, help="A sample of that many queries, the same every time; 0: all.")
    ] = 0

    def read(self) -> Collection:
        """The collection; what its files hold beside it is said. Raises SettingsError where the flags name none, or
        two; SourceError."""
        collection = self._read()
        for note in collection.notes:
            say(f"{collection.name}: {note}")
        return collection.sample(self.queries)

    def _read(self) -> Collection:
        from connector.evaluation.files.datasets import read_collection
        from connector.evaluation.trec import read_trec
        from connector.judging.collections import is_judging_folder, on_scale, read_judged

        if self.data and not (self.topics or self.qrels):
            if self.judged_by:
                return read_judged(self.data, self.judged_by)
            collection = read_collection(self.data, split=self.split)
            return on_scale(collection) if is_judging_folder(self.data) else collection
        if self.judged_by:
            raise SettingsError("--judged-by goes with a folder of connector judge, which says who judged")
        if self.topics and self.qrels and not self.data:
            return read_trec(self.topics, self.qrels, field=self.topic_field)
        raise SettingsError("name the judged queries: a folder, or --topics FILE with --qrels FILE")


@dataclass(frozen=True, slots=True)
class SendingFlags:
    """How the queries are sent."""

    PANEL: ClassVar[str] = "Times"

    reuse_scores: Annotated[
        bool,
        typer.Option(
            "--reuse-scores", help="Let the worker give scores that it remembers: faster, but rerank times mean less."
        ),
    ] = False
    warm_up: Annotated[
        bool,
        typer.Option(
            "--warm-up", help="Send every query once before measuring, for times of a service that has been running."
        ),
    ] = False


def parse_names(given: str | None) -> list[str]:
    """Names split by commas, other than those within brackets."""
    return [name.strip() for name in re.split(r",(?![^(]*\))", given or "") if name.strip()]


def measure_names(given: str | None, k: int) -> tuple[str, ...]:
    """Those that are given, split by commas, as ir_measures writes them; else the default ones at that cutoff. Raises
    SettingsError."""
    from connector.evaluation.statistics.measures import check_measures, default_measures

    return check_measures(parse_names(given) or default_measures(k))


def check_places(*files: Path | None) -> None:
    """Before the work, so that it is not lost for want of a place. Raises SettingsError."""
    for file in files:
        if file and not file.parent.is_dir():
            raise SettingsError(f"there is no folder {file.parent} for {file.name}; make it first")
        if file:
            try:
                check_writable(file)
            except OSError as error:
                raise SettingsError(f"cannot write {file} ({error.strerror}); choose another place") from error
