"""What is ours to say: in headers, so that bodies hold exactly the keys of their dialect."""

from __future__ import annotations

import re

from connector.models.scorer import Scores

# request header: whose caches may serve the request, 1 to 64 letters and digits; without it, those of the service itself
SCOPE = "x-cache-scope"
# reply headers
KIND = "x-reranker-kind"
FINGERPRINT = "x-reranker-fingerprint"
TRUNCATED = "x-truncated"  # positions of the passages that were cut to fit, by comma; "query" for the query
TOOK_MS = "x-took-ms"

MAX_LISTED_TRUNCATIONS = 500


def build_headers(scores: Scores, *, kind: str, fingerprint: str, took_ms: float) -> dict[str, str]:
    headers = {KIND: kind, FINGERPRINT: fingerprint, TOOK_MS: f"{took_ms:.1f}"}
    cut = [*(["query"] if scores.query_truncated else []), *map(str, scores.truncated)]
    if cut:
        headers[TRUNCATED] = ",".join(cut[:MAX_LISTED_TRUNCATIONS]) + (
            ",..." if len(cut) > MAX_LISTED_TRUNCATIONS else ""
        )
    return headers


def read_truncated(header: str | None) -> frozenset[int]:
    """The positions in a TRUNCATED header."""
    return frozenset(int(part) for part in (header or "").split(",") if part.isdecimal() and len(part) < 10)


def read_scope(header: str | None) -> str:
    """The scope in a SCOPE header. Raises ValueError."""
    if header is not None and not re.fullmatch("[0-9A-Za-z]{1,64}", header):
        raise ValueError(f"{SCOPE} takes 1 to 64 letters and digits")
    return header or ""
