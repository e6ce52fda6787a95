"""A raw path -> the index whose search it asks for. Only a parsed copy is looked at: the raw bytes go to the engine.

The engines split the raw path at each `/`, and decode only what stands between. So no `..`, no `%2F` and no doubled
slash makes a search of another path, and nothing here is ever normalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

ACTIONS = {b"_search": "search", b"_msearch": "msearch"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path asks for. `index` is the name as the engine reads it; "" for an `_msearch` whose lines name it."""

    index: str
    action: Literal["search", "msearch"]


def read_target(raw_path: bytes) -> Target | None:
    """The search that a raw path asks for; None for everything else. One slash at the end changes nothing for the
    engines."""
    if not raw_path.startswith(b"/"):
        return None
    parts = raw_path[1:].removesuffix(b"/").split(b"/")
    if parts == [b"_msearch"]:
        return Target("", "msearch")
    if len(parts) != 2 or parts[1] not in ACTIONS or not parts[0] or parts[0].startswith(b"_"):
        return None
    try:
        index = unquote_to_bytes(parts[0]).decode()
    except UnicodeDecodeError:
        return None
    return Target(index, "search" if parts[1] == b"_search" else "msearch")
