"""One trace through several services: what a request says of its trace is handed on with every request that it leads
to (W3C Trace Context)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

PARENT, STATE = "traceparent", "tracestate"
_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_STATE = re.compile(r"[\x20-\x7e]{1,512}")
_NO_TRACE: Mapping[str, str] = MappingProxyType({})
_carried: ContextVar[Mapping[str, str]] = ContextVar("trace", default=_NO_TRACE)


@contextmanager
def carrying(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[None]:
    """Within the block requests are part of the trace that these headers name; of none where they name none, or what
    is no name of one."""
    given = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in headers}
    found: dict[str, str] = {}
    if _PARENT.fullmatch(given.get(PARENT, "")):
        found[PARENT] = given[PARENT]
        if _STATE.fullmatch(given.get(STATE, "")):
            found[STATE] = given[STATE]
    token = _carried.set(found)
    try:
        yield
    finally:
        _carried.reset(token)


def trace_headers() -> dict[str, str]:
    """The span that this is part of: OpenTelemetry's, where the caller is traced by that, else the one that came."""
    headers = dict(_carried.get())
    if "opentelemetry" in sys.modules:  # who traces has imported it
        from opentelemetry.propagate import inject

        inject(headers)
    return headers
