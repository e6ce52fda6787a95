"""With which code a command ends that changes somebody's index and is told to end."""

from __future__ import annotations

import signal

from connector.backfill.report import BackfillCounts, BackfillReport
from connector.cli.backfilling import signal_of


def test_a_signal_counts_where_it_ended_a_job_early() -> None:
    done = BackfillReport("done", BackfillCounts(1), 0.0)
    stopped = BackfillReport("stopped", BackfillCounts(1), 0.0, stopped="SIGTERM")

    assert signal_of([done, stopped], [signal.SIGTERM]) == signal.SIGTERM
    assert signal_of([done], [signal.SIGTERM]) == 0  # all was done by then
    assert signal_of([stopped], []) == 0  # something else ended it
