"""How far a download is: a bar on a terminal, else a line in the log at its start and now and then."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOG_EVERY_S = 10.0
MEGABYTE = 1_000_000
log = logging.getLogger(__name__)


@contextmanager
def showing(name: str, total: int, *, begun: int = 0) -> Iterator[Callable[[int], None]]:
    """A function that is told how many bytes there are by now, of `total`; `begun` were there before."""
    if not sys.stderr.isatty():
        resumed = f", going on after {begun / MEGABYTE:.0f} MB" if begun else ""
        log.info("downloading %s, %.0f MB%s", name, total / MEGABYTE, resumed)
        due = time.monotonic() + LOG_EVERY_S

        def tell(done: int) -> None:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + LOG_EVERY_S
                log.info("%.0f of %.0f MB of %s", done / MEGABYTE, total / MEGABYTE, name)

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=total, completed=begun)
        yield lambda done: progress.update(task, completed=done)
