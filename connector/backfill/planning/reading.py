"""What is asked of an engine about an index before anything is written to it. Nothing here writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from connector.backfill.facts import Facts
from connector.backfill.planning.access import read_denied
from connector.backfill.versions import NOTHING_SEEN, CountedDocument, CountedShard, CountedVersions
from connector.backfilled import AddedNames
from connector.clusters.clients import Client
from connector.clusters.paths import check_name, index_path
from connector.clusters.protocol import Cluster
from connector.clusters.rest import RestCluster
from connector.errors import ClusterError, IndexMissing, SettingsError

JSON = dict[str, Any]
TIMEOUT_S = 60.0
SAMPLED_SHARDS = 16  # of an index that has more, so that a probe takes seconds
SAMPLED = 100  # documents of each
SEED = 22
DEFAULT_NAMES = AddedNames()
WITH_DEFAULTS = {"flat_settings": "true", "include_defaults": "true"}
MERGED_FROM = ("index.resize.source.uuid", "index.shrink.source.uuid")  # set where shards were made of others


async def find_indices(cluster: Cluster, name: str) -> tuple[str, ...]:
    """The concrete indices that a name stands for: itself, those of an alias, or those behind a data stream.

    Raises IndexMissing, and SettingsError for a store that is not an engine, or a pattern."""
    client, url = require_engine(cluster)
    check_name(name)
    try:
        reply = await _resolve(client, name)
    except ClusterError as error:
        if error.status == 404:
            raise IndexMissing(name, url) from error
        raise
    found = [str(entry["name"]) for entry in reply.get("indices", ())]
    found += [index for entry in reply.get("aliases", ()) for index in _listed(entry["indices"])]
    found += [index for entry in reply.get("data_streams", ()) for index in _listed(entry["backing_indices"])]
    if not found:
        raise IndexMissing(name, url)
    return tuple(dict.fromkeys(found))


async def read_facts(cluster: Cluster, name: str, names: AddedNames = DEFAULT_NAMES) -> Facts:
    """What is to be known of the one index of that name, which may be an alias of it, before fields of those names are
    added to it.

    Raises IndexMissing, and SettingsError for a name that stands for several."""
    indices = await find_indices(cluster, name)
    if len(indices) > 1:
        raise SettingsError(
            f"{name!r} stands for {len(indices)} indices, and each is filled by its own name: {', '.join(indices)}"
        )
    (index,) = indices
    client, _ = require_engine(cluster)
    unread: dict[str, str] = {}
    mapping = (await _read(client, index, "_mapping", {}, unread)).get("mappings", {})
    described = await _read(client, index, "_settings", WITH_DEFAULTS, unread)
    settings = described.get("defaults", {}) | described.get("settings", {})
    resolved: JSON = next(iter((await _resolve(client, index)).get("indices", ())), {})
    is_open = "closed" not in resolved.get("attributes", ())
    shards: list[CountedShard] = []
    unmapped: frozenset[str] = frozenset()
    documents = None
    if is_open:
        try:
            shards = [shard async for shard in _read_shards(client, index, settings)]
            unmapped = await _find_unmapped(client, index, (names.passages, names.marker))
            documents = int((await client.request("GET", index_path(index, "_count"), timeout_s=TIMEOUT_S))["count"])
        except ClusterError as error:
            unread["documents"] = str(error)
    versions = CountedVersions(tuple(shards), merged=any(settings.get(name) for name in MERGED_FROM))
    return Facts(
        index=index,
        engine=cluster.engine,
        mapping=mapping,
        settings=settings,
        aliases=tuple(sorted(_listed(resolved.get("aliases", ())))),
        data_stream=str(resolved.get("data_stream", "")),
        is_open=is_open,
        documents=documents,
        versions=versions if shards else NOTHING_SEEN,
        unmapped=unmapped,
        metadata_blocked=any("metadata" in unread.get(part, "") for part in ("mapping", "settings")),
        denied=await read_denied(client, cluster.engine, index),
        unread=unread,
    )


def require_engine(cluster: Cluster) -> tuple[Client, str]:
    """The client of an engine, and its URL. Raises SettingsError for the embedded store."""
    if not isinstance(cluster, RestCluster):
        raise SettingsError("only indices of Elasticsearch and OpenSearch are filled; ingest into the embedded store")
    return cluster.client, cluster.url


async def _resolve(client: Client, name: str) -> JSON:
    path = f"/_resolve/index/{quote(name, safe='')}"
    return await client.request("GET", path, params={"expand_wildcards": "all"}, timeout_s=TIMEOUT_S)


async def _read(client: Client, index: str, action: str, params: Mapping[str, str], unread: dict[str, str]) -> JSON:
    """What a reply says of an index; where that is denied or blocked, nothing and a note of why."""
    try:
        reply = await client.request("GET", index_path(index, action), params=params, timeout_s=TIMEOUT_S)
    except ClusterError as error:
        if error.status != 403:
            raise
        unread[action.removeprefix("_")] = str(error)
        return {}
    found: JSON = reply[index]
    return found


async def _find_unmapped(client: Client, index: str, names: tuple[str, ...]) -> frozenset[str]:
    """Which of the names some of a random sample of documents have at their root, mapped or not."""
    body = {"size": SAMPLED, "_source": list(names), "query": build_random_query()}
    reply = await client.request("POST", index_path(index, "_search"), body=body, timeout_s=TIMEOUT_S)
    return frozenset(name for hit in reply["hits"]["hits"] for name in names if name in hit.get("_source", {}))


async def _read_shards(client: Client, index: str, settings: Mapping[str, Any]) -> AsyncIterator[CountedShard]:
    """The versions in each shard, or in some spread over all where there are many."""
    count = int(settings.get("index.number_of_shards", 1))
    chosen = sorted({at * count // min(count, SAMPLED_SHARDS) for at in range(min(count, SAMPLED_SHARDS))})
    sums = True
    for shard in chosen:
        reply = None
        if sums:
            try:
                reply = await _ask_shard(client, index, shard, sums=True)
            except ClusterError as error:
                if error.status != 400:  # OpenSearch sums up no versions
                    raise
                sums = False
        reply = reply or await _ask_shard(client, index, shard, sums=False)
        if read := read_counted(shard, reply):
            yield read


async def _ask_shard(client: Client, index: str, shard: int, *, sums: bool) -> JSON:
    params = {"preference": f"_shards:{shard}"}
    body = build_shard_sample(sums=sums)
    return await client.request("POST", index_path(index, "_search"), body=body, params=params, timeout_s=TIMEOUT_S)


def build_random_query() -> JSON:
    """A query that puts all documents into the same random order each time."""
    score = {"seed": SEED, "field": "_seq_no"}
    return {"function_score": {"query": {"match_all": {}}, "random_score": score, "boost_mode": "replace"}}


def build_shard_sample(*, sums: bool) -> JSON:
    """The body of a search for the versions of a random sample, and for what they sum up to."""
    aggregations: JSON = {"highest": {"max": {"field": "_seq_no"}}}
    if sums:
        aggregations["total"] = {"sum": {"field": "_version"}}
    return {
        "size": SAMPLED,
        "_source": False,
        "version": True,
        "seq_no_primary_term": True,
        "track_total_hits": True,
        "query": build_random_query(),
        "aggs": aggregations,
    }


def read_counted(shard: int, reply: JSON) -> CountedShard | None:
    """What the reply to such a search shows; None of a shard without documents."""
    hits, found = reply["hits"], reply["aggregations"]
    documents = int(hits["total"]["value"])
    if not documents:
        return None
    sample = tuple(CountedDocument(int(hit["_version"]), int(hit["_seq_no"])) for hit in hits["hits"])
    total = int(found["total"]["value"]) if "total" in found else None
    return CountedShard(shard, documents, int(found["highest"]["value"]), total, sample)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(name) for name in value]
