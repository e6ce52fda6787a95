"""`connector judge page`: people judge the pairs of a pool in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from connector.cli.console import stderr
from connector.cli.flags.groups import with_flag_groups
from connector.cli.stopping import say_when_stopped
from connector.extras import needs
from connector.judging.defaults import SEED
from connector.judging.page.defaults import HOST, OVERLAP, PORT

if TYPE_CHECKING:
    from connector.judging.page.desk import Desk

FOLDER_OF_PAIRS = "Folder with queries.jsonl and pool.jsonl, as connector judge queries and pool make it."


@dataclass(frozen=True, slots=True)
class PlaceFlags:
    """Where the page is, and under which names it can be opened."""

    PANEL: ClassVar[str] = "Where"

    host: Annotated[
        str, typer.Option(help="Address to listen on. Beyond 127.0.0.1, whoever reaches it can read and grade.")
    ] = HOST
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 for any free one.")] = PORT
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--also-known-as", metavar="NAME", help="Another host name that raters open it by. Can be repeated."
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class SharingFlags:
    """Who gets what, and what is shown."""

    PANEL: ClassVar[str] = "Judging"

    rater: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who judges, where one person does. [the page asks]")
    ] = None
    overlap: Annotated[
        float, typer.Option(min=0, max=1, help="Part of the pairs that two people judge, to see how far they agree.")
    ] = OVERLAP
    fields: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Fields to show, in this order: title,text. [all]")
    ] = None
    seed: Annotated[int, typer.Option(help="Of the shuffle, and of the choice of pairs for two.")] = SEED

    def field_names(self) -> tuple[str, ...]:
        """The fields to show; none for all."""
        return tuple(name for part in (self.fields or "").split(",") if (name := part.strip()))


@with_flag_groups
def page(
    folder: Annotated[Path, typer.Argument(help=FOLDER_OF_PAIRS)], sharing: SharingFlags, place: PlaceFlags
) -> None:
    """Let people judge the pairs of a pool, on a web page that this command serves.

    Open the address that it prints. A pair shows a query and a document; keys 0 to 3 grade it, s skips, u takes back,
    n writes a note, ? explains. Several people can judge at once, each in a browser of their own.

    A grade is in FOLDER/grades.jsonl before the next pair shows. Stop the page with Ctrl-C, and start it again to go
    on. When it stops, FOLDER/qrels/test.tsv has the judgments.

    Examples:

        connector judge page judged

        connector judge page judged --rater anna --fields title,text

        connector judge page judged --overlap 0.3 --host 0.0.0.0
    """
    with needs("judge", "connector judge page"):
        from connector.judging.page.app import create_app
        from connector.judging.page.rater import check_name
        from connector.judging.page.serve import serve, url_of
    from connector.judging.folder import JudgingFolder
    from connector.judging.page.assignment import Sharing
    from connector.judging.page.desk import Desk
    from connector.judging.page.guard import LOOPBACK, allowed_hosts
    from connector.judging.page.showing import make_view
    from connector.listening import bind

    opened = JudgingFolder.open(folder)
    desk = Desk(opened, Sharing(sharing.overlap, sharing.seed))
    view = make_view(desk.pairs.values(), sharing.field_names())
    desk.write_qrels()  # of what a kill kept from being written
    rater = check_name(sharing.rater) if sharing.rater else None
    listener = bind(place.host, place.port, choose="--port, or 0 for any free one")
    listener.listen()
    app = create_app(desk, view, allowed_hosts(place.host, place.names or ()), rater=rater)
    say_when_stopped(f"every grade is in {desk.folder.grades_file}; the same command goes on")
    _say_where(url_of(place.host, listener.getsockname()[1]), desk)
    if place.host not in LOOPBACK:
        stderr.print("whoever reaches this address can read the documents and grade them", highlight=False)
    try:
        serve(app, listener)
    finally:
        _sum_up(desk)


def _say_where(url: str, desk: Desk) -> None:
    if desk.log.repaired:
        stderr.print("a line that a kill had torn was taken out of the grades; it was never acknowledged")
    stderr.print(f"{len(desk.pairs):,} pairs to judge at {url}  (Ctrl-C stops)", highlight=False, soft_wrap=True)


def _sum_up(desk: Desk) -> None:
    """What there is now, and what to do with it."""
    resolved, folder = desk.write_qrels(), desk.folder
    raters = ", ".join(f"{name} {count:,}" for name, count in sorted(desk.raters().items()))
    progress = desk.progress("")
    lines = [f"{progress.finished:,} of {progress.pairs:,} pairs judged ({raters or 'nobody judged so far'})"]
    if resolved.open:
        lines.append(
            f"{len(resolved.open)} disagreements are open, of which the median counts: settle them on the page"
        )
    if resolved.grades:
        lines += [f"{len(resolved.grades):,} judgments in {folder.qrels_file}", f"next: connector eval {folder.path}"]
    for line in lines:
        stderr.print(line, highlight=False, soft_wrap=True)
