"""Whether the way in which an index keeps its vectors fits how many there are and how much memory the nodes have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from connector.clusters.dialect import JSON, PASSAGES
from connector.clusters.indices.vector_bytes import memory_bytes
from connector.clusters.indices.vector_choices import VectorChoice, choose, read_choices
from connector.clusters.protocol import Engine, Index
from connector.doctor.findings import Finding
from connector.errors import ClusterError, SettingsError
from connector.schema import IndexSchema

AskEngine = Callable[..., Awaitable[JSON]]
CHECK = "vector index"
MOST_OF_MEMORY = 0.5  # of what the nodes leave to the file cache, which other data needs too
SMALL_PART = 0.1  # of that: whole floats would not be missed
MOST_FLAT = 100_000  # vectors that are compared one by one in each search


async def look_at_vector_index(ask: AskEngine, engine: Engine, index: Index) -> Finding:
    """The finding for an index of ours."""
    try:
        choice = choose(engine, index.schema.vectors, index.schema.dims)
    except SettingsError as error:
        return Finding(CHECK, "skip", str(error).partition("; ")[0], "the index was made by another version")
    return judge_vector_index(choice, engine, index.schema, await _count_vectors(ask, index), await _free_bytes(ask))


def judge_vector_index(
    choice: VectorChoice, engine: Engine, schema: IndexSchema, vectors: int, free_bytes: int | None
) -> Finding:
    """The finding for so many vectors, on nodes that leave so much memory to the file cache (None: not known)."""
    needed = needed_bytes(choice, schema, vectors)
    facts: dict[str, Any] = {
        "index": choice.name, "vectors": vectors, "dims": schema.dims, "memory_bytes": needed, "free_bytes": free_bytes,
    }  # fmt: skip
    seen = f"{choice.name}: {vectors:,} vectors of {schema.dims} dimensions, about {_mb(needed)} in memory"
    seen += f" of the {_mb(free_bytes)} that the nodes leave to files" if free_bytes is not None else ""
    if choice.name == "flat" and vectors > MOST_FLAT:
        advice = _instead("hnsw" if free_bytes is None else _largest_that_fits(engine, schema, vectors, free_bytes))
        return Finding(CHECK, "warn", f"{seen}; each search compares them all", advice, facts)
    if free_bytes is None:
        return Finding(CHECK, "ok", seen, facts=facts)
    if needed > MOST_OF_MEMORY * free_bytes:
        smaller = _largest_that_fits(engine, schema, vectors, free_bytes)
        more = "more memory for the nodes, or other nodes for a part of the index"
        fits = smaller and read_choices(engine.kind)[smaller].bits < choice.bits
        advice = f"{_instead(smaller)}; or {more}" if fits else more
        return Finding(CHECK, "warn", f"{seen}: searches will wait for the disk", advice, facts)
    floats = needed_bytes(read_choices(engine.kind)["hnsw"], schema, vectors)
    if choice.loses and floats < SMALL_PART * free_bytes:
        seen += f"; it loses neighbours to save memory, and whole floats would take {_mb(floats)}"
        return Finding(CHECK, "warn", seen, _instead("hnsw"), facts)
    return Finding(CHECK, "ok", seen, facts=facts)


def needed_bytes(choice: VectorChoice, schema: IndexSchema, vectors: int) -> int:
    """What a search reads at random of so many vectors, and so should be in memory."""
    return round(vectors * memory_bytes(choice, schema.dims, schema.vectors.m))


def _largest_that_fits(engine: Engine, schema: IndexSchema, vectors: int, free_bytes: int) -> str:
    """The choice that keeps most of the vectors and whose memory is there, of those that need nothing else and lose
    few neighbours; the one that needs least where none fits."""
    able = [choice for choice in read_choices(engine.kind).values() if choice.known_to(engine) and not choice.needs]
    able = sorted(
        (choice for choice in able if choice.name != "flat" and not choice.loses), key=lambda choice: -choice.bits
    )
    fit = (choice.name for choice in able if needed_bytes(choice, schema, vectors) <= MOST_OF_MEMORY * free_bytes)
    return next(fit, able[-1].name)


def _instead(name: str) -> str:
    return f"ingest into a new index with --vector-index {name}"


def _mb(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


async def _count_vectors(ask: AskEngine, index: Index) -> int:
    path = f"/{quote(index.name, safe='')}/_search"
    body = {"size": 0, "track_total_hits": False, "aggs": {"passages": {"nested": {"path": PASSAGES}}}}
    reply = await ask("POST", path, body=body)
    return int(reply["aggregations"]["passages"]["doc_count"])


async def _free_bytes(ask: AskEngine) -> int | None:
    """The memory of all data nodes that their heaps leave; None where these credentials may not see it."""
    try:
        reply = await ask("GET", "/_nodes/data:true/stats/os,jvm")
    except ClusterError:
        return None
    nodes = reply.get("nodes", {}).values()
    return sum(
        max(0, int(node["os"]["mem"]["total_in_bytes"]) - int(node["jvm"]["mem"]["heap_max_in_bytes"]))
        for node in nodes
    )
