"""Which indices stand behind a name of the cluster, so that another spelling of an index that the settings name is
known for what it is: an alias of it, a list, a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ALL = {"expand_wildcards": "all"}
PATH = "/_resolve/index/*"
# what begins another kind of name: what is left out, date math, `_all`; patterns of hidden names follow other rules
OTHERWISE = tuple("-+<_.")


@dataclass(frozen=True, slots=True)
class IndexNames:
    """All names, each with its indices; `visible` are those that a pattern finds, unless its request says otherwise."""

    indices: Mapping[str, frozenset[str]]
    visible: frozenset[str]

    def behind(self, expression: str) -> frozenset[str] | None:
        """The indices of a list of names and patterns; None where not all of it is known."""
        found: set[str] = set()
        for piece in expression.split(","):
            if not piece or piece.startswith(OTHERWISE) or ":" in piece:
                return None
            if "*" in piece:
                found.update(*(self.indices[name] for name in self._matching(piece)))
            elif piece in self.indices:
                found |= self.indices[piece]
            else:
                return None
        return frozenset(found) or None

    def _matching(self, pattern: str) -> Iterator[str]:
        matches = re.compile(re.escape(pattern).replace(r"\*", ".*"), re.DOTALL).fullmatch
        return (name for name in self.visible if matches(name))


NO_NAMES = IndexNames({}, frozenset())


def read_index_names(reply: Mapping[str, Any]) -> IndexNames:
    """What the engine says of all of its names, hidden and closed ones too."""
    indices: dict[str, frozenset[str]] = {}
    hidden: set[str] = set()
    for index in reply.get("indices", ()):
        name: str = index["name"]
        indices[name] = frozenset((name,))
        if {"hidden", "closed"} & set(index.get("attributes", ())):
            hidden.add(name)
    for stream in reply.get("data_streams", ()):
        indices[stream["name"]] = frozenset(_listed(stream["backing_indices"]))
    for alias in reply.get("aliases", ()):  # of a data stream, too
        behind = (indices.get(name, frozenset((name,))) for name in _listed(alias["indices"]))
        indices[alias["name"]] = frozenset().union(*behind)
    return IndexNames(indices, frozenset(indices) - hidden)


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names
