"""What an engine has no room for when it puts a write off (429): which room it is, and whether it will ever be enough.

A full queue counts requests, so that smaller ones fit no better. Memory counts bytes. Both engines say how many an
operation takes and how many there may be: one that takes more than that is never taken as it is."""

from __future__ import annotations

import re
from typing import Literal

NoRoom = Literal["queue", "memory", "never"]
MEMORY = re.compile(r"operation_bytes=|Data too large")
# of the node; a shard of OpenSearch has a bound of its own, which moves
OPERATION = re.compile(
    r"(?:coordinating|primary|node)_operation_bytes=(?P<takes>\d+).*?"
    r"max_(?:coordinating_and_primary|coordinating|primary)_bytes=(?P<most>\d+)"
)


def read_no_room(reason: str) -> NoRoom:
    """What there was too little of, from the engine's reason for a 429."""
    if (found := OPERATION.search(reason)) and int(found["takes"]) > int(found["most"]):
        return "never"
    return "memory" if MEMORY.search(reason) else "queue"


def explain_body_limit(action: bytes) -> str:
    """Why a request that holds nothing but this was never taken (413)."""
    return f"the cluster takes no request of {len(action)} bytes (http.max_content_length)"


def explain_too_large(reason: str) -> str:
    """Why a write on its own was never taken, and what would help."""
    found = OPERATION.search(reason)
    sizes = f"takes {found['takes']} bytes, and a node has room for {found['most']}" if found else "is too large"
    return f"this document alone {sizes} (indexing_pressure.memory.limit, a share of the heap); {reason}"
