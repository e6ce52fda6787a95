"""A line in the log for each search that took long, with the time of each stage."""

from __future__ import annotations

import logging
from typing import Any

from connector.settings.gateway import GatewaySettings
from connector.types import SearchResponse

log = logging.getLogger(__name__)


def log_slow(response: SearchResponse, query_id: str, settings: GatewaySettings) -> None:
    """The line, where the search took `gateway.slow_query_ms` or more; its text only with `gateway.log_query_text`."""
    took_ms = response.took_ms.get("total", 0.0)
    if settings.slow_query_ms is None or took_ms < settings.slow_query_ms:
        return
    stages = {name: round(took, 1) for name, took in response.took_ms.items() if name != "total"}
    fields: dict[str, Any] = {"query_id": query_id, "took_ms": round(took_ms, 1), "hits": len(response.hits)}
    if response.degraded:
        fields["degraded"] = ",".join(missing.stage for missing in response.degraded)
    if settings.log_query_text:
        fields["query"] = response.query
    words = " ".join(f"{name}={value!r}" if name == "query" else f"{name}={value}" for name, value in fields.items())
    times = " ".join(f"{name}_ms={took}" for name, took in stages.items())
    log.warning("slow search: %s %s", words, times, extra={**fields, "stages_ms": stages})
