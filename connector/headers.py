"""The headers that a worker and its callers add to the dialects of others, whose bodies take no keys of ours."""

from __future__ import annotations

# request header: whose caches may serve the request, 1 to 64 letters and digits; without it, those of the service
# itself
SCOPE = "x-cache-scope"
# request header: milliseconds after which an answer is of no use any more; what is not scored by then is left out and
# named
BUDGET = "x-budget-ms"
# request header: scores are computed anew, not remembered ones given (RFC 9111, 5.2.1.4)
FRESH = {"cache-control": "no-cache"}
# request and reply header: by which a request is found in the worker's log
REQUEST_ID = "x-request-id"
# reply headers
KIND = "x-reranker-kind"
FINGERPRINT = "x-reranker-fingerprint"
TRUNCATED = "x-truncated"  # positions of the passages that were cut to fit, by comma; "query" for the query
UNSCORED = "x-unscored"  # positions of the passages that were not scored within the budget, by comma
TOOK_MS = "x-took-ms"
# reply headers: how busy the worker is, and how fast. From them its callers learn how much to ask for
QUEUE_MS = "x-queue-ms"  # for how long all that waits will keep it busy
WAITING = "x-waiting"  # requests for the same model under way
CHARS_PER_S = "x-chars-per-s"  # characters of passages that the model gets done in a second
MAX_CHARS = "x-max-chars"  # of a passage that count there: the rest is cut off


def read_positions(header: str | None) -> frozenset[int]:
    """The positions in a TRUNCATED or UNSCORED header."""
    return frozenset(int(part) for part in (header or "").split(",") if part.isdecimal() and len(part) < 10)
