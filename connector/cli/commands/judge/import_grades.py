"""`connector judge import`: judgments of other programs, and clicks, into a judging folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import typer

from connector.cli.console import results, say
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson
from connector.cli.stopping import say_when_stopped
from connector.errors import SettingsError
from connector.judging.defaults import MIN_LOOKS
from connector.judging.formats.judged import Format

if TYPE_CHECKING:
    from connector.judging.formats.judged import JudgedFile


@dataclass(frozen=True, slots=True)
class WhoseFlags:
    """Whose judgments they are, and which grades they mean."""

    PANEL: ClassVar[str] = "Judgments"

    format_name: Annotated[
        Format | None,
        typer.Option("--format", help="What the files are. [what their content says]"),
    ] = None
    by: Annotated[
        str | None, typer.Option("--by", help="Who judged, where the file does not say. [the file's name]")
    ] = None
    kind: Annotated[
        Literal["imported", "person", "model"],
        typer.Option("--kind", help="What they count as beside other grades."),
    ] = "imported"
    cuts: Annotated[
        str | None,
        typer.Option("--cuts", metavar="A,B,C", help="The least values of grades 1, 2 and 3, for another scale."),
    ] = None
    queries: Annotated[
        Path | None,
        typer.Option("--queries", help="The texts of queries that the file has by id: queries.jsonl, or TREC topics."),
    ] = None
    add_queries: Annotated[
        bool, typer.Option("--add-queries", help="Add queries that the folder lacks and whose text is known.")
    ] = False

    def parse_cuts(self) -> tuple[float, ...]:
        """Raises SettingsError."""
        try:
            cuts = tuple(float(cut) for cut in self.cuts.split(",")) if self.cuts else ()
        except ValueError:
            cuts = (1.0, 0.0)
        if list(cuts) != sorted(set(cuts)):
            raise SettingsError(f"--cuts takes rising numbers by commas, such as 0.1,0.3,0.6; not {self.cuts!r}")
        return cuts


@dataclass(frozen=True, slots=True)
class ClickFlags:
    """How clicks become grades."""

    PANEL: ClassVar[str] = "Clicks (UBI)"

    click_model: Annotated[
        Literal["pbm", "coec"],
        typer.Option("--click-model", help="Position-based, or clicks over expected clicks."),
    ] = "pbm"
    min_looks: Annotated[
        float, typer.Option("--min-looks", min=0, help="How many users must have looked at a document.")
    ] = MIN_LOOKS
    click_action: Annotated[
        list[str] | None,
        typer.Option("--click-action", help="An action_name that is a click. [click, click_through, item_click]"),
    ] = None


@with_flag_groups
def import_grades(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What other programs wrote.")],
    into: Annotated[Path, typer.Option("--into", metavar="FOLDER", help="The judging folder; made if need be.")],
    whose: WhoseFlags,
    clicks: ClickFlags,
    as_json: AsJson = False,
) -> None:
    """Read judgments of other programs, and clicks, into a judging folder.

    Quepid's and Chorus' CSV (a case or a book), judgment lists of OpenSearch's Search Relevance Workbench, bodies of
    _rank_eval, TREC's and BEIR's qrels, and events of User Behavior Insights as lines of JSON: ubi_queries and
    ubi_events together. Each is recognised by its content. What is there already is not added again.

    Exit code: 0 all judgments have their place; 1 some are of queries that the folder lacks; 2 a file cannot be read,
    and nothing of it was written.

    Examples:

        connector judge import ratings.csv --into judging --kind person

        connector judge import qrels.txt --queries topics.txt --into judging

        connector judge import ubi_queries.ndjson ubi_events.ndjson --into judging --click-model pbm
    """
    say_when_stopped("files that were read to their end are kept; run it again")
    cuts = whose.parse_cuts()
    from connector.judging.folder import JudgingFolder
    from connector.judging.formats.importing import import_judged
    from connector.judging.resolve import write_judgments

    folder = JudgingFolder.make(into)
    if folder.qrels_file.resolve() not in [file.resolve() for file in files]:
        folder.check_judgments()
    reports = {}
    for name, format_name, judged, own_cuts in _read(files, whose, clicks):
        with folder.alone():
            report = import_judged(
                folder,
                judged,
                by=whose.by or name,
                kind="clicks" if format_name == "ubi" else whose.kind,
                cuts=cuts or own_cuts,
                add_queries=whose.add_queries,
            )
        reports[name] = asdict(report) | {"format": format_name}
    write_judgments(folder, folder.grades())
    if as_json:
        print(json.dumps(reports, ensure_ascii=False))
    else:
        _print(reports)
    raise typer.Exit(1 if any(report["unplaced"] for report in reports.values()) else 0)


def _read(
    files: Sequence[Path], whose: WhoseFlags, clicks: ClickFlags
) -> Iterator[tuple[str, Format, JudgedFile, tuple[float, ...]]]:
    """Each file with its name, its format and the cuts of that; all of clicks together. Raises SourceError before any
    is given."""
    from connector.judging.clicks.judged import cuts_of, judge_clicks
    from connector.judging.formats.recognise import READERS, recognise
    from connector.judging.formats.ubi import CLICKS, read_ubi

    formats = {file: whose.format_name or recognise(file) for file in files}
    texts = _texts(whose.queries)
    found: list[tuple[str, Format, JudgedFile, tuple[float, ...]]] = []
    for file, name in formats.items():
        if name != "ubi":
            judged = READERS[name](file)
            with_text = tuple(
                replace(judgment, text=judgment.text or texts.get(judgment.query_id, "")) for judgment in judged.judged
            )
            found.append((file.name, name, replace(judged, judged=with_text), ()))
    if ubi := [file for file, name in formats.items() if name == "ubi"]:
        showings, notes = read_ubi(ubi, clicks=clicks.click_action or CLICKS)
        judged = judge_clicks(showings, model=clicks.click_model, min_looks=clicks.min_looks, notes=notes)
        found.append((", ".join(file.name for file in ubi), "ubi", judged, cuts_of(clicks.click_model)))
    return iter(found)


def _texts(file: Path | None) -> dict[str, str]:
    """The texts of queries by id."""
    from connector.evaluation.files.queries import read_queries
    from connector.evaluation.trec import read_topics

    if file is None:
        return {}
    is_json = ".jsonl" in file.suffixes or ".ndjson" in file.suffixes
    return {query.query_id: query.text for query in (read_queries(file) if is_json else read_topics(file)).queries}


def _print(reports: Mapping[str, Mapping[str, Any]]) -> None:
    for name, report in reports.items():
        results().print(
            f"{name} ({report['format']}): {report['new']} grades are new, {report['known']} were there already",
            highlight=False,
            soft_wrap=True,
        )
        more = (
            (f"{report['added_queries']} queries were added" if report["added_queries"] else ""),
            (f"{report['outside_pool']} pairs are not in the pool; they count" if report["outside_pool"] else ""),
            *report["notes"],
        )
        for note in filter(None, more):
            say(f"{name}: {note}")
