"""What judging does unless asked otherwise; importing this costs nothing."""

from __future__ import annotations

from typing import Final

SAMPLE = 200  # queries that are taken out of a log
SEED = 13
TREATMENT: Final = "leave-out"  # of what looks like a person's data
PARAMETER = "q"  # of an access log's requests: where the query is
DEPTH = 10  # documents of each pipeline that are pooled
DIFFERENCE = 0.02  # of a measure, that is to be shown
AT_ONCE = 8  # requests to a language model side by side
MAX_PASSAGE_CHARS = 8_000  # of a passage that a language model is asked for
MIN_LOOKS = 10.0  # users who must have looked at a document before clicks make a grade
MEASURE = "nDCG@10"  # what pipelines are ordered by, to see whether judges order them alike
