"""`connector backfill` with `--beside` or `--into`: asks, does it, and says what was done."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

import typer

from connector import event_loop
from connector.cli.backfilling import RESUMES, ask
from connector.cli.console import stderr
from connector.cli.ending import stop_on_signal
from connector.cli.flags.backfill import BackfillFlags
from connector.cli.job import end_job
from connector.cli.progress import showing
from connector.cli.stopping import say_when_stopped
from connector.cli.tables.elsewhere import print_elsewhere, print_left
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.backfill.elsewhere import ElsewhereReport


def fill_elsewhere(settings: Settings, flags: BackfillFlags, *, bar: bool, as_json: bool) -> NoReturn:
    """Run it, show what was done, and end with the code that says how it went."""
    report, signalled = event_loop.run(_fill(settings, flags, bar, as_json))
    code = 128 + signalled if signalled else 3 if report.filled.stopped else 0 if report.ok else 1
    described = {"cluster": settings.cluster.url, "exit_code": code, "ok": report.ok} | asdict(report)
    end_job(
        described,
        settings,
        report_file=flags.report_file,
        as_json=as_json,
        show=lambda: print_elsewhere(report, settings),
        show_left=lambda: print_left(report),
        at_once=bool(signalled),
    )


async def _fill(settings: Settings, flags: BackfillFlags, bar: bool, as_json: bool) -> tuple[ElsewhereReport, int]:
    from connector.backfill.elsewhere import preparing_elsewhere

    async with AsyncExitStack() as kept:
        with stderr.status("looking at the index, loading the encoder") if bar else nullcontext():
            wish = flags.wish(settings.index.text_fields)
            prepared = await kept.enter_async_context(preparing_elsewhere(settings, wish, flags.elsewhere()))
        ask(prepared.changes, yes=flags.yes or flags.dry_run)
        if flags.dry_run:
            if as_json:
                print(json.dumps({"index": settings.index.name, "changes": prepared.changes}))
            raise typer.Exit
        say_when_stopped(RESUMES)
        with showing(bar, "back-filling") as (show, say):
            stop, received = stop_on_signal(say)
            report = await prepared.run(stop, show)
    return report, received[0] if received and report.filled.stopped else 0
