"""What is ours to say: in headers, so that bodies hold exactly the keys of their dialect."""

from __future__ import annotations

import hashlib
import re

from connector.headers import (
    BUDGET,
    CHARS_PER_S,
    FINGERPRINT,
    KIND,
    MAX_CHARS,
    QUEUE_MS,
    SCOPE,
    TOOK_MS,
    TRUNCATED,
    UNSCORED,
    WAITING,
)
from connector.models.scorer import Scores
from connector.worker.request_queue import Load

MAX_LISTED = 500


def build_headers(scores: Scores, *, kind: str, fingerprint: str, took_ms: float) -> dict[str, str]:
    headers = {KIND: kind, FINGERPRINT: fingerprint, TOOK_MS: f"{took_ms:.1f}"}
    cut = [*(["query"] if scores.query_truncated else []), *map(str, scores.truncated)]
    if cut:
        headers[TRUNCATED] = _list(cut)
    if scores.unscored:
        headers[UNSCORED] = _list([*map(str, scores.unscored)])
    return headers


def build_load_headers(load: Load) -> dict[str, str]:
    """How busy the worker is, and how fast where that is known."""
    headers = {QUEUE_MS: f"{load.queue_s * 1000:.0f}", WAITING: str(load.waiting)}
    if load.chars_per_s is not None:
        headers |= {CHARS_PER_S: f"{load.chars_per_s:.0f}", MAX_CHARS: str(load.max_chars)}
    return headers


def _list(names: list[str]) -> str:
    return ",".join(names[:MAX_LISTED]) + (",..." if len(names) > MAX_LISTED else "")


def read_scope(header: str | None, *, principal: str = "") -> str:
    """The scope in a SCOPE header, which is the principal's own where there is one. Raises ValueError."""
    if header is not None and not re.fullmatch("[0-9A-Za-z]{1,64}", header):
        raise ValueError(f"{SCOPE} takes 1 to 64 letters and digits")
    if not principal:
        return header or ""
    return hashlib.blake2b(f"{principal} {header or ''}".encode(), digest_size=16).hexdigest()


def may_use_cache(header: str | None) -> bool:
    """Whether scores that are remembered may serve a request with this Cache-Control header."""
    return "no-cache" not in (header or "").lower()


def read_budget(header: str | None) -> float | None:
    """The seconds in a BUDGET header, which are milliseconds there. Raises ValueError."""
    if header is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", header):
        raise ValueError(f"{BUDGET} takes a number of milliseconds")
    return float(header) / 1000
