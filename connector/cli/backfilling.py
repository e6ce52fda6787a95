"""What the commands that change somebody's index share: they ask first, show how far they are, and say in the end what
became of each."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

from connector.cli.console import say
from connector.cli.ending import stop_on_signal
from connector.cli.job import end_job
from connector.cli.progress import showing
from connector.cli.stopping import say_when_stopped
from connector.errors import SettingsError
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.backfill.report import BackfillReport
    from connector.backfill.undo import UndoPlan, UndoReport
    from connector.clusters.rest import RestCluster

RESUMES = "what was written stays; run it again to go on"
Report = TypeVar("Report", "BackfillReport", "UndoReport")

log = logging.getLogger(__name__)


def ask(changes: Sequence[str], *, yes: bool) -> None:
    """Say what is about to be changed, and go on only where somebody agrees. Raises SettingsError where nobody can be
    asked, and typer.Abort."""
    for line in changes:
        say(line, style=None)
    if yes:
        return
    if not sys.stdin.isatty():
        raise SettingsError("an index that is not ours is changed only with --yes where nobody can be asked")
    if not typer.confirm("go on?", err=True):
        raise SettingsError("nothing was changed")


async def take_out(
    cluster: RestCluster, plans: Sequence[UndoPlan], settings: Settings, *, yes: bool, bar: bool
) -> tuple[list[UndoReport], int]:
    """Ask, and take out what is planned; what became of each index, and the signal that ended it early, or 0."""
    from connector.backfill.run import undo
    from connector.backfill.undo import describe_undo

    ask([line for plan in plans for line in describe_undo(plan)], yes=yes)
    say_when_stopped(RESUMES)
    with showing(bar, "taking out") as (show, tell):
        stop, received = stop_on_signal(tell)
        reports = await undo(cluster, plans, settings, stop=stop, on_progress=show)
    return reports, signal_of(reports, received)


def signal_of(reports: Sequence[BackfillReport | UndoReport], received: Sequence[int]) -> int:
    """The signal that ended a job early; 0 where none came, or all was done by then."""
    return received[0] if received and any(report.stopped for report in reports) else 0


@dataclass(frozen=True, slots=True)
class JobEnding:
    """How a command ends: what it shows of its reports, and where it writes them."""

    settings: Settings
    report_file: Path | None
    as_json: bool
    started: datetime

    def end(
        self,
        reports: Sequence[Report],
        signalled: int,
        show: Callable[[Sequence[Report], Settings], None],
        show_leftovers: Callable[[Sequence[Report]], None],
    ) -> NoReturn:
        """Show what was done, and end with the code that says how it went."""
        code = _exit_code(reports, signalled)
        described: dict[str, Any] = {
            "cluster": self.settings.cluster.url,
            "index": self.settings.index.name,
            "started": self.started.isoformat(timespec="seconds"),
            "exit_code": code,
            "indices": [asdict(report) | {"ok": report.ok} for report in reports],
        }
        log.info("job ended with exit code %d", code, extra=described)
        end_job(
            described,
            self.settings,
            report_file=self.report_file,
            as_json=self.as_json,
            show=lambda: show(reports, self.settings),
            show_left=lambda: show_leftovers(reports),
            at_once=bool(signalled),
        )


def _exit_code(reports: Sequence[BackfillReport | UndoReport], signalled: int) -> int:
    """0 all well, 1 some documents were left, 3 stopped early, 128 + N ended by signal N."""
    if signalled:
        return 128 + signalled
    if any(report.stopped for report in reports):
        return 3
    return 0 if all(report.ok for report in reports) else 1
