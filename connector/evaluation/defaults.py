"""What an evaluation and a gate do unless asked otherwise; importing this costs nothing."""

from __future__ import annotations

CUTOFF = 10  # of the measures
SPLIT = "test"  # of a collection that has several
MAX_DROP = 0.01  # of nDCG at the cutoff, before a gate breaks
MAX_DEGRADED = 0  # queries that may fail or be degraded before a gate breaks
