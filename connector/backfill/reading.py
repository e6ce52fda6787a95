"""What is asked of an engine about an index before anything is written to it. Nothing here writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from connector.backfill.facts import Facts
from connector.backfill.versions import NOTHING_SEEN, CountedDocument, CountedShard, CountedVersions
from connector.clusters.clients import Client
from connector.clusters.paths import check_name, index_path
from connector.clusters.protocol import Cluster
from connector.clusters.rest import RestCluster
from connector.errors import AccessDenied, ClusterError, IndexMissing, SettingsError

JSON = dict[str, Any]
TIMEOUT_S = 60.0
SAMPLED_SHARDS = 16  # of an index that has more, so that a probe takes seconds
SAMPLED = 100  # documents of each
SEED = 22
FLAT = {"flat_settings": "true"}
MERGED_FROM = ("index.resize.source.uuid", "index.shrink.source.uuid")  # set where shards were made of others


async def find_indices(cluster: Cluster, name: str) -> tuple[str, ...]:
    """The concrete indices that a name stands for: itself, those of an alias, or those behind a data stream.

    Raises IndexMissing, and SettingsError for a store that is not an engine, or a pattern."""
    client, url = _engine_of(cluster)
    check_name(name)
    path = f"/_resolve/index/{quote(name, safe='')}"
    try:
        reply = await client.request("GET", path, params={"expand_wildcards": "all"}, timeout_s=TIMEOUT_S)
    except ClusterError as error:
        if error.status == 404:
            raise IndexMissing(name, url) from error
        raise
    found = [str(each["name"]) for each in reply.get("indices", ())]
    found += [index for alias in reply.get("aliases", ()) for index in _listed(alias["indices"])]
    found += [index for stream in reply.get("data_streams", ()) for index in _listed(stream["backing_indices"])]
    if not found:
        raise IndexMissing(name, url)
    return tuple(dict.fromkeys(found))


async def read_facts(cluster: Cluster, name: str) -> Facts:
    """What is to be known of the one index of that name, which may be an alias of it.

    Raises IndexMissing, and SettingsError for a name that stands for several."""
    indices = await find_indices(cluster, name)
    if len(indices) > 1:
        raise SettingsError(
            f"{name!r} stands for {len(indices)} indices, and each is filled by its own name: {', '.join(indices)}"
        )
    (index,) = indices
    client, _ = _engine_of(cluster)
    unread: dict[str, str] = {}
    about = await _read_or_note(client, index, "", FLAT, unread, "mapping and settings")
    described = about.get(index, {})
    defaults = await _read_or_note(
        client, index, "_settings", FLAT | {"include_defaults": "true"}, unread, "the engine's defaults"
    )
    is_open = await _is_open(client, index)
    versions, documents = NOTHING_SEEN, None
    settings = defaults.get(index, {}).get("defaults", {}) | described.get("settings", {})
    if is_open:
        try:
            shards = [each async for each in _read_shards(client, index, settings)]
            versions = CountedVersions(tuple(shards), merged=any(settings.get(name) for name in MERGED_FROM))
            documents = await _count(client, index)
        except ClusterError as error:
            unread["documents"] = str(error)
    return Facts(
        index=index,
        engine=cluster.engine,
        mapping=described.get("mappings", {}),
        settings=settings,
        aliases=tuple(sorted(described.get("aliases", {}))),
        data_stream=str(described.get("data_stream", "")),
        is_open=is_open,
        documents=documents,
        versions=versions,
        unread=unread,
    )


async def _read_or_note(
    client: Client, index: str, action: str, params: Mapping[str, str], unread: dict[str, str], what: str
) -> JSON:
    """A reply about an index; where that is denied or blocked, nothing and a note of why."""
    try:
        return await client.request("GET", index_path(index, action), params=params, timeout_s=TIMEOUT_S)
    except ClusterError as error:
        if not isinstance(error, AccessDenied) and error.status != 403:
            raise
        unread[what] = str(error)
        return {}


async def _is_open(client: Client, index: str) -> bool:
    path = f"/_resolve/index/{quote(index, safe='')}"
    reply = await client.request("GET", path, params={"expand_wildcards": "all"}, timeout_s=TIMEOUT_S)
    return all("closed" not in each.get("attributes", ()) for each in reply.get("indices", ()))


async def _count(client: Client, index: str) -> int:
    return int((await client.request("GET", index_path(index, "_count"), timeout_s=TIMEOUT_S))["count"])


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
        if read := read_shard(shard, reply):
            yield read


async def _ask_shard(client: Client, index: str, shard: int, *, sums: bool) -> JSON:
    params = {"preference": f"_shards:{shard}"}
    body = build_shard_sample(sums=sums)
    return await client.request("POST", index_path(index, "_search"), body=body, params=params, timeout_s=TIMEOUT_S)


def build_shard_sample(*, sums: bool) -> JSON:
    """The body of a search for the versions of a random sample, and for what they sum up to."""
    aggregations: JSON = {"highest": {"max": {"field": "_seq_no"}}}
    if sums:
        aggregations["total"] = {"sum": {"field": "_version"}}
    random = {"query": {"match_all": {}}, "random_score": {"seed": SEED, "field": "_seq_no"}}
    return {
        "size": SAMPLED,
        "_source": False,
        "version": True,
        "seq_no_primary_term": True,
        "track_total_hits": True,
        "query": {"function_score": random},
        "aggs": aggregations,
    }


def read_shard(shard: int, reply: JSON) -> CountedShard | None:
    """What the reply to such a search shows; None of a shard without documents."""
    hits, found = reply["hits"], reply["aggregations"]
    documents = int(hits["total"]["value"])
    if not documents:
        return None
    sample = tuple(CountedDocument(int(hit["_version"]), int(hit["_seq_no"])) for hit in hits["hits"])
    total = int(found["total"]["value"]) if "total" in found else None
    return CountedShard(shard, documents, int(found["highest"]["value"]), total, sample)


def _engine_of(cluster: Cluster) -> tuple[Client, str]:
    if not isinstance(cluster, RestCluster):
        raise SettingsError("only indices of Elasticsearch and OpenSearch are filled; ingest into the embedded store")
    return cluster.client, cluster.url


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value]
