"""`connector judge export`: the judgments of a folder, as other programs read them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.console import say
from connector.cli.flags.judging import FolderArgument
from connector.cli.flags.settings import ConfigFile, IndexName, Overrides, read_settings
from connector.errors import DiskError, SettingsError
from connector.judging.formats.judged import Body, WritableFormat
from connector.whole_file import write_whole

if TYPE_CHECKING:
    from connector.judging.grades import GradeKind


def export(
    folder: FolderArgument,
    to: Annotated[WritableFormat, typer.Option("--to", help="What it is written as.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to. [stdout]")] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", help="Only grades of person, imported, model or clicks. Repeat for several. [all]"),
    ] = None,
    query_file: Annotated[
        Path | None,
        typer.Option("--query", metavar="FILE", help="rank-eval: the search as JSON, with {{query}} for the text."),
    ] = None,
    index: IndexName = None,
    config: ConfigFile = None,
    override: Overrides = None,
) -> None:
    """Write the grades that count, one for each pair, as another program reads them.

    quepid is the CSV that Quepid and Chorus import; workbench the body of PUT _plugins/_search_relevance/judgments;
    rank-eval the body of _rank_eval, for Elasticsearch and OpenSearch alike. Its searches are those that a query was
    imported with, else --query, else a plain query of the pool's fields.

    Exit code: 0 all was written; 1 the format cannot hold some of it, as is said; 2 it could not be written.

    Examples:

        connector judge export judging --to quepid --out ratings.csv

        connector judge export judging --to rank-eval --index kb --query search.json --out rank_eval.json

        connector judge export judging --to trec --kind person > qrels.txt
    """
    from connector.judging.folder import JudgingFolder
    from connector.judging.formats.exporting import read_judgments, shown_fields, write_judgments

    settings = read_settings(config, override, index__name=index)
    template = _read_template(query_file) if query_file else None
    opened = JudgingFolder.open(folder)
    judgments = read_judgments(opened, _known(kinds))
    if not judgments.qrels:
        raise SettingsError(f"{folder} has no grades of that kind; give some with connector judge page or llm")
    written = write_judgments(
        judgments,
        to,
        name=opened.path.resolve().name,
        index=settings.index.name,
        template=template,
        fields=shown_fields(opened),
    )
    _write(written.text, out)
    for note in written.notes:
        say(note)
    raise typer.Exit(1 if written.notes else 0)


def _known(kinds: list[str] | None) -> tuple[GradeKind, ...]:
    from connector.judging.resolve import BY_TRUST

    if unknown := sorted(set(kinds or ()) - set(BY_TRUST)):
        raise SettingsError(f"no kind of judge is called {unknown[0]!r}; there are {', '.join(BY_TRUST)}")
    return tuple(kind for kind in BY_TRUST if not kinds or kind in kinds)


def _read_template(file: Path) -> Body:
    from connector.evaluation.files.text_file import read_text
    from connector.own_query.template import check_template

    try:
        body = json.loads(read_text(file))
    except ValueError as error:
        raise SettingsError(f"{file} is no JSON ({error})") from None
    if not isinstance(body, dict) or not isinstance(body.get("query"), dict):
        raise SettingsError(f"{file} is no search: it needs a query, as the body of _search has it")
    check_template(body)
    return body


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        write_whole(out, text)
    except OSError as error:
        raise DiskError(f"cannot write {out} ({error.strerror}); choose another place") from None
