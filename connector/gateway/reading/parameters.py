"""The parameters of a `_search` URL: which request of ours each goes to, as it is written, or which make the whole
search pass through.

A parameter that stands in no list here passes the search through: the engine may refuse it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_plus

from connector.gateway.reading.not_recognised import NotRecognised

RequestKind = Literal["lexical", "dense", "page", "tail", "words"]

# to every request: the same shards give the same rows
EVERYWHERE = frozenset(
    {
        *("preference", "routing", "request_cache", "ignore_unavailable", "allow_no_indices"),
        *("expand_wildcards", "allow_partial_search_results", "batched_reduce_size", "max_concurrent_shard_requests"),
        *("pre_filter_shard_size", "ccs_minimize_roundtrips", "ignore_throttled", "timeout", "error_trace"),
        "cancel_after_time_interval",
    }
)
# to the one whose reply the caller gets, but for its hits
LEXICAL = frozenset(
    {
        *("typed_keys", "rest_total_hits_as_int", "track_total_hits", "track_scores", "stats", "human", "phase_took"),
        *("suggest_field", "suggest_mode", "suggest_size", "suggest_text"),
    }
)
# to those that fetch what the caller sees of a hit
PAGE = frozenset(
    {
        *("_source", "_source_includes", "_source_excludes", "_source_exclude_vectors", "stored_fields"),
        *("docvalue_fields", "explain", "version", "seq_no_primary_term", "include_named_queries_score"),
    }
)
# how words are scored: Elasticsearch takes no such parameter beside a kNN search
SCORING = frozenset({"search_type"})
# what matches at all, wherever the caller's query is asked for its own order
MATCHING = frozenset({"terminate_after"})
# ours to read
SEARCHED = frozenset({"q", "df", "default_operator", "analyzer", "analyze_wildcard", "lenient"})
READ = SEARCHED | {"from", "size", "sort", "source", "source_content_type", "filter_path", "pretty"}
# an `_msearch` as a whole: all of it goes to both requests that are made of it
MSEARCH = (EVERYWHERE - {"request_cache"}) | {
    *("typed_keys", "rest_total_hits_as_int", "max_concurrent_searches", "include_named_queries_score", "human"),
}
GOES: dict[RequestKind, frozenset[str]] = {
    "lexical": EVERYWHERE | SCORING | LEXICAL | MATCHING,
    "dense": EVERYWHERE,
    "words": EVERYWHERE,
    "page": EVERYWHERE | SCORING | PAGE,
    "tail": EVERYWHERE | SCORING | PAGE | MATCHING,
}
TRUE, FALSE = ("", "true"), ("false",)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a query string says. `written` has each parameter that goes on, by its name, in its own bytes; `read` those
    that are ours to read."""

    written: tuple[tuple[str, bytes], ...] = ()
    read: dict[str, str] = field(default_factory=dict)

    def of(self, leg: RequestKind) -> bytes:
        """The query string of a leg."""
        return b"&".join(piece for name, piece in self.written if name in GOES[leg])

    @property
    def all_written(self) -> bytes:
        """All that goes on."""
        return b"&".join(piece for _, piece in self.written)

    def names(self) -> Iterable[str]:
        return (name for name, _ in self.written)

    @property
    def pretty(self) -> bool:
        return self.read.get("pretty", "false") in TRUE

    @property
    def filter_path(self) -> str:
        return self.read.get("filter_path", "")


def read_search_parameters(query_string: bytes) -> Parameters:
    """The parameters of a `_search`. Raises NotRecognised."""
    return _read(query_string, frozenset().union(*GOES.values()), READ)


def read_msearch_parameters(query_string: bytes) -> Parameters:
    """The parameters of an `_msearch`. Raises NotRecognised."""
    return _read(query_string, MSEARCH, frozenset({"filter_path", "pretty"}))


def _read(query_string: bytes, going: frozenset[str], ours: frozenset[str]) -> Parameters:
    if b";" in query_string:  # which the engines take for a separator, too
        raise NotRecognised("a ; in the URL")
    written: list[tuple[str, bytes]] = []
    read: dict[str, str] = {}
    for piece in filter(None, query_string.split(b"&")):
        raw_name, _, raw_value = piece.partition(b"=")
        try:
            name, value = (unquote_plus(raw.decode("ascii"), errors="strict") for raw in (raw_name, raw_value))
        except UnicodeError:
            raise NotRecognised("a URL in no plain encoding") from None
        if name in ours:
            if name in read:
                raise NotRecognised(f"{name} twice in the URL")
            read[name] = value
        elif name in going:
            written.append((name, piece))
        else:
            raise NotRecognised(f"parameter {name[:40]}")
        if name == "stored_fields" and value == "_none_":
            raise NotRecognised("stored_fields _none_")
        if name == "pretty" and value not in TRUE + FALSE:
            raise NotRecognised("parameter pretty")
    return Parameters(tuple(written), read)
