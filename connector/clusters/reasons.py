"""The innermost reason in an engine's error, and what to do about those that are known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# what the engines say around a reason, which says nothing of it
AROUND = re.compile(
    r"all shards failed|partial shards failure|shard failures?|failed to parse"
    r"|failed to execute term vector request|rejected execution",
    re.IGNORECASE,
)
# a queue that is full; around it stand addresses of objects and counters, which differ each time
FULL_QUEUE = re.compile(
    r"rejected execution of .* on \w*ThreadPoolExecutor\[name = (?P<pool>[^,]+), queue capacity = (?P<room>\d+)",
    re.DOTALL,
)
PREFIX = re.compile(r"^(?:failed to create query|Failed to parse mapping(?: \[_doc\])?): ")
SAMPLE = re.compile(
    r";? Preview of (?:invalid vector|field's value): .*$", re.DOTALL
)  # of a document's or query's values
CLOSED = "the index is closed; open it: POST INDEX/_open"
# type and reason of an error, as the engines spell them -> what to do
ADVICE = {
    r"Result window is too large": "lower search.depth, or raise index.max_result_window of the index",
    r"index_closed_exception|^\S* ?closed$": CLOSED,
    r"too_many_(nested_)?clauses|maxClauseCount": (
        "use fewer words or fewer values in a filter, or raise indices.query.bool.max_clause_count"
    ),
    r"element_type \[\w+\] vectors only support|\[data_type\] field was set as": (
        "the field holds vectors of bytes or bits, which need a query of the same kind; name a vector field of "
        "floats in index.vector_field"
    ),
    r"must have \[index\] set to \[true\]|not built for ANN": (
        "the vectors of this field are kept but not indexed; name an indexed one in index.vector_field, or reindex"
    ),
    r"different number of dimensions|different dimension|has invalid dimension": (
        "set encoder.model to the model that filled the field"
    ),
    r"analyzer \[.*\] (not found|has not been configured)|failed to find .*analyzer": (
        "set index.analyzer to one that the engine has, such as standard or english"
    ),
    r"Cannot search on field|field is not indexed|is not indexed": "use a field that is indexed",
    r"number_format_exception|Can't parse boolean|failed to parse date field|is not an IP string|out of range": (
        "give the filter a value of the field's type"
    ),
    r"script_lang not supported|cannot execute \[?\w*\]? ?scripts": "the cluster runs no such scripts: "
    r"script.allowed_types",
    r"circuit_breaking_exception|Data too large": (
        "the node is short of memory; lower search.depth or cluster.max_chunk_bytes, or give it more heap"
    ),
    r"invalid_index_name_exception|invalid_alias_name": "choose another index.name",
    r"maximum (normal |data )?shards open": "drop indices that nobody needs, or raise cluster.max_shards_per_node",
    r"Limit of total fields": "raise index.mapping.total_fields.limit, or index fewer fields",
    r"_source is disabled": "the index keeps no documents, so only its stored fields can be shown",
    r"Fielddata is disabled|Text fields are not optimised": "use the keyword subfield of this text field",
}


def explain_reason(error: Any, status: int) -> str:
    """Why the engine refused, from the `error` of a reply, of an item of a bulk reply or of a shard; and what to do."""
    if not isinstance(error, Mapping):
        return f"{error or 'refused'} (HTTP {status})"
    reason = innermost_reason(error)
    what_to_do = advise(error)
    return f"{reason} (HTTP {status}){f'; {what_to_do}' if what_to_do else ''}"


def innermost_reason(error: Mapping[str, Any]) -> str:
    """What the engine said first that means something, and the innermost cause where that says more."""
    causes = list(_chain(error))
    reasons = [_words(cause) for cause in causes if _words(cause) and not AROUND.fullmatch(_words(cause))]
    if not reasons:
        return _words(error) or str(error.get("type") or "refused")
    first, last = reasons[0], reasons[-1]
    return first if last in first else last if first in last else f"{first}: {last}"


def advise(error: Mapping[str, Any]) -> str:
    """What to do about an error that is known; empty for any other."""
    for cause in _chain(error):
        text = f"{cause.get('type', '')} {cause.get('reason') or ''}"
        for known, what_to_do in ADVICE.items():
            if re.search(known, text):
                return what_to_do
    return ""


def says_closed(error: Exception) -> bool:
    """Whether it is for an index being closed that the engine refused."""
    return CLOSED in str(error)


def _chain(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The error, the first shard's failure, and what caused it, from the outside in."""
    seen: set[int] = set()
    current: Any = error
    while isinstance(current, Mapping) and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = next(_inner(current), None)


def _inner(error: Mapping[str, Any]) -> Iterator[Any]:
    """What an error holds further in, the most telling first."""
    shards = error.get("failed_shards")
    if isinstance(shards, list):
        yield from (shard["reason"] for shard in shards if isinstance(shard, Mapping) and "reason" in shard)
    if isinstance(error.get("caused_by"), Mapping):
        yield error["caused_by"]
    for name in ("suppressed", "root_cause"):
        if isinstance(error.get(name), list):
            yield from error[name]


def _words(error: Mapping[str, Any]) -> str:
    """The reason of one error, without what stands around it, and without a document's values."""
    reason = error.get("reason")
    reason = PREFIX.sub("", reason) if isinstance(reason, str) else ""
    if full := FULL_QUEUE.search(reason):
        return f"the queue {full['pool']} is full: {full['room']} requests wait"
    return SAMPLE.sub("", reason).replace("; ", ", ").rstrip(" ;.")
