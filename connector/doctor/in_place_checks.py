"""What the doctor says of passages and vectors that a back-fill added to somebody's index, where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from connector.backfilled import Backfilled, read_marker
from connector.clusters.dialect import JSON, ask_texts, nested_query
from connector.clusters.reading.hits import read_texts
from connector.clusters.rest_index import RestIndex
from connector.doctor.findings import Finding
from connector.text import normalise_text

LOOKED_AT = 1_000  # documents of which the text is held against the marker: the last written


@dataclass(frozen=True, slots=True)
class InPlace:
    """Of all `documents` how many are `missing` passages (never filled, or replaced by the application since), are
    `stripped` of their vectors, or have no text to encode; and of the `looked_at` last written, how many have another
    text than their passages."""

    documents: int
    missing: int
    stripped: int
    without_text: int
    looked_at: int
    changed: int


async def measure_in_place(index: RestIndex, added: Backfilled, *, timeout_s: float) -> InPlace:
    """Count them. Raises ClusterError."""
    reply = await index.ask(build_count_of_added(index, added), timeout_s)
    found = {name: int(bucket["doc_count"]) for name, bucket in reply["aggregations"]["found"]["buckets"].items()}
    hits = reply["hits"]["hits"]
    return InPlace(
        documents=int(reply["hits"]["total"]["value"]),
        missing=found["missing"],
        stripped=found["stripped"],
        without_text=found["without_text"],
        looked_at=len(hits),
        changed=_count_changed(hits, index, added),
    )


def build_count_of_added(index: RestIndex, added: Backfilled) -> JSON:
    """The body of one search for all of it."""
    names = added.names
    done, empty = {"term": {names.marker: added.generation}}, {"term": {names.marker: added.without_text}}
    vectors = nested_query(names.passages, {"exists": {"field": names.vector}})
    kinds: JSON = {
        "missing": {"bool": {"must_not": [done]}},
        "stripped": {"bool": {"filter": [done], "must_not": [empty, vectors]}},
        "without_text": empty,
    }
    asked = ask_texts(replace(index.schema, fields=replace(index.schema.fields, text=added.text, metadata={})))
    return asked | {
        "_source": [*(asked["_source"] or ()), names.marker],
        "size": LOOKED_AT,
        "sort": [{"_seq_no": "desc"}],
        "track_total_hits": True,
        "aggs": {"found": {"filters": {"filters": kinds}}},
    }


def judge_in_place(found: InPlace, index: str) -> Finding:
    """How many documents have passages, and which have not those of their text."""
    facts = asdict(found)
    filled = found.documents - found.missing - found.stripped - found.without_text
    seen = f"{found.documents:,} documents, passages and vectors in {filled:,}"
    seen += f", and {found.without_text:,} without text" if found.without_text else ""
    late = {
        "have no passages (new, or replaced by the application)": found.missing,
        "lost their vectors to an application that wrote them back": found.stripped,
        f"of the {found.looked_at:,} last written have another text than their passages": found.changed,
    }
    parts = ", ".join(f"{count:,} {words}" for words, count in late.items() if count)
    if not found.documents:
        return Finding("documents", "warn", "the index is empty", "whoever writes to it has yet to", facts)
    if not parts:
        return Finding("documents", "ok", seen, facts=facts)
    status: Any = "warn" if filled else "fail"
    advice = f"words find them meanwhile; bring them up to date: connector backfill {index}"
    return Finding("documents", status, f"{seen}; behind: {parts}", advice, facts)


def also_of_others(finding: Finding, others: Mapping[str, InPlace]) -> Finding:
    """The same with what is filled beside, by the encoder's name, while the index changes its encoder."""
    phrases = [
        f"{found.documents - found.missing - found.stripped - found.without_text:,} also have vectors of {encoder}"
        for encoder, found in others.items()
    ]
    return replace(finding, seen="; ".join([finding.seen, *phrases]))


def _count_changed(hits: Sequence[JSON], index: RestIndex, added: Backfilled) -> int:
    """How many carry the marker of another text than they have."""
    schema = replace(index.schema, fields=replace(index.schema.fields, text=added.text, metadata={}))
    changed = 0
    for hit in hits:
        marker, texts = read_marker(hit.get("_source", {}).get(added.names.marker)), read_texts(hit, schema)
        has_text = any(normalise_text(text).strip() for text in texts.values())
        right = added.marker(texts, has_passages=True) if has_text else added.without_text
        changed += bool(marker.startswith(f"{added.generation}:") and marker != right)
    return changed
