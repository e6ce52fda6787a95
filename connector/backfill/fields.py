"""What is put into the mapping of an index that is back-filled: our fields, and in `_meta` what they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from connector.backfill.other_nested import NO_OTHERS, OtherNested, read_others
from connector.backfilled import Backfilled, without_other, without_ours
from connector.clusters.indices.mapping import build_passages_field
from connector.clusters.paths import index_path
from connector.clusters.protocol import Engine
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.errors import ClusterError
from connector.schema import IndexSchema, VectorSettings

JSON = dict[str, Any]
META_TRIES = 5


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """What is added to one index: `index` is its own name, never an alias; `schema` says where its texts are."""

    index: str
    shards: int
    added: Backfilled
    schema: IndexSchema
    vectors: VectorSettings
    analyzer: str  # of the passages' texts
    is_other: bool = False  # it stands beside the back-fill that searches use, as during a change of the encoder
    most_nested: int | None = None  # nested objects of a document; None: any number
    others: OtherNested = NO_OTHERS  # whose objects count in that


def build_properties(engine: Engine, plan: BackfillPlan) -> JSON:
    """Our fields as an engine's mapping has them. Raises SettingsError for an unknown vector index."""
    names = plan.added.names
    passages = build_passages_field(engine, plan.analyzer, plan.added.encoder.dims, plan.vectors)
    inner = passages["properties"]
    inner[names.vector_name] = inner.pop("vector")
    return {names.passages: passages, names.marker: {"type": "keyword"}}


async def read_index_mapping(cluster: RestCluster, index: str) -> JSON:
    """The mapping of exactly one index. Raises ClusterError where the name stands for another by now."""
    reply = await cluster.client.request("GET", index_path(index, "_mapping"), timeout_s=ADMIN_TIMEOUT_S)
    if index not in reply:
        raise ClusterError(f"there is no index {index!r} of that very name", status=404)
    found: JSON = reply[index]["mappings"]
    return found


async def with_others_now(cluster: RestCluster, plan: BackfillPlan) -> BackfillPlan:
    """The plan with the nested fields that the index has by now: an application may add some while a job runs."""
    if plan.most_nested is None:
        return plan
    return replace(plan, others=read_others(await read_index_mapping(cluster, plan.index), plan.added.names))


async def put_fields(cluster: RestCluster, plan: BackfillPlan) -> None:
    """Put our fields and our part of `_meta` into the index's mapping; what is there already stays.

    Raises ClusterError with the engine's own reason where it takes no such field, and SettingsError for a vector index
    that this cluster cannot have."""
    await cluster.check_vectors(plan.vectors, plan.added.encoder.dims)
    to_meta = plan.added.to_meta_as_other if plan.is_other else plan.added.to_meta
    await put_meta(cluster, plan.index, to_meta, build_properties(cluster.engine, plan))


async def take_meta_out(cluster: RestCluster, index: str, other: str = "") -> None:
    """Take our part out of the mapping's `_meta`, or only that of the `other` back-fill whose field has that name. The
    fields themselves stay: no engine takes a field back."""
    await put_meta(cluster, index, partial(without_other, name=other) if other else without_ours)


async def put_meta(
    cluster: RestCluster, index: str, change: Callable[[JSON], JSON], properties: JSON | None = None
) -> None:
    """Change the mapping's `_meta`, and add fields. The engine replaces `_meta` as a whole, and there is no condition
    on that: so it is read again, and where somebody else wrote theirs at the same moment, put again."""
    for _ in range(META_TRIES):
        meta = change((await read_index_mapping(cluster, index)).get("_meta", {}))
        body = {"_meta": meta} | ({"properties": properties} if properties else {})
        await cluster.client.request("PUT", index_path(index, "_mapping"), body=body, timeout_s=ADMIN_TIMEOUT_S)
        if (await read_index_mapping(cluster, index)).get("_meta", {}) == meta:
            return
    raise ClusterError(
        f"somebody else writes the _meta of index {index!r} all the time, and so ours is lost again and again; run "
        "this when that has ended"
    )
