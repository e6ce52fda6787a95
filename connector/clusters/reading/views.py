"""What a search sees of an index: what an alias lets through; or a state that stands still while the index is written
to, which the engines call a point in time, and in it the lexical order behind a mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connector.clusters.dialect import DOC_ID, JSON
from connector.clusters.reading.hits import read_hit
from connector.errors import ClusterError, ViewLost
from connector.lexical import Mark, MarkedHit
from connector.schema import IndexSchema

GONE = ("No search context found", "no such index")


@dataclass(frozen=True, slots=True)
class View:
    """What a name shows of the index behind it: an alias may have a filter. `whole`: all of exactly one index."""

    filter: JSON | None = None
    whole: bool = True


@dataclass(slots=True)
class PointInTime:
    """The state that searches read, kept for `keep_s` after each; the engine may give it another name with a reply."""

    view: str
    keep_s: int

    def within(self, body: JSON) -> JSON:
        """The body of a `_search` of that state."""
        return body | {"pit": {"id": self.view, "keep_alive": f"{self.keep_s}s"}}

    def follow(self, reply: JSON) -> None:
        """Take the name that the reply has for it."""
        self.view = reply.get("pit_id", self.view)


def lost(index: str, error: ClusterError) -> ViewLost | None:
    """The error for a state that the engine no longer has, where that is what went wrong."""
    words = next((words for words in GONE if words in str(error)), None)
    return ViewLost(index, words) if words else None


def build_rest(body: JSON, schema: IndexSchema, mark: Mark, scale: float, ties: Sequence[tuple[str, Any]]) -> JSON:
    """The body of a lexical leg for what follows a mark, worst last."""
    if schema.managed and schema.keeps_ids:
        ties = [(DOC_ID, ""), *([("_index", "")] if schema.layout.members.names else [])]
    sort: list[JSON] = [{"_score": "desc"}, *({name: "asc"} for name, _ in ties)]
    return body | {"sort": sort, "search_after": [mark.score * scale, *(mark.ties or (first for _, first in ties))]}


def read_rest(reply: JSON, schema: IndexSchema, scale: float = 1.0) -> tuple[MarkedHit, ...]:
    """The hits of the reply in the engine's order, each with the mark behind it."""
    return tuple(
        MarkedHit(hit := read_hit(raw, schema, scale), Mark(hit.score, tuple(raw["sort"][1:])))
        for raw in reply["hits"]["hits"]
    )
