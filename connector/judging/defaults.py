"""What judging does unless asked otherwise; importing this costs nothing."""

from __future__ import annotations

SAMPLE = 200  # queries that are taken out of a log
SEED = 13
PARAMETER = "q"  # of an access log's requests: where the query is
DEPTH = 10  # documents of each pipeline that are pooled
DIFFERENCE = 0.02  # of a measure, that is to be shown
