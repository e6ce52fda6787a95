"""How far each shard of an index has been written, as the engine says it.

Sequence numbers are given out before their documents can be seen, so the highest that a search shows is no safe mark:
a lower one may appear later. The global checkpoint is. All operations up to it are on every copy of the shard, and a
refresh makes them visible. So the order is: read the checkpoint, refresh, read the documents up to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.backfill.scan import count_shards
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.errors import ClusterError, ClusterUnavailable

JSON = dict[str, Any]
STATS = {"level": "shards"}


@dataclass(frozen=True, slots=True)
class ShardCheckpoint:
    """One shard: its history, the sequence number up to which all of it is safe, and the highest that was given out."""

    history: str  # another one after a restore or a failed-over primary that lost operations
    safe: int
    newest: int


@dataclass(frozen=True, slots=True)
class IndexCheckpoints:
    """All shards of an index, and which index of that name it is."""

    uuid: str
    shards: tuple[ShardCheckpoint, ...]


async def read_checkpoints(cluster: RestCluster, index: str, shards: int) -> IndexCheckpoints:
    """The checkpoints of an index that had so many shards. Raises AccessDenied without the privilege to read
    statistics, ClusterUnavailable while a shard has no primary, and ClusterError where none answers."""
    path = index_path(index, "_stats/docs")
    reply = await cluster.client.request("GET", path, params=STATS, timeout_s=ADMIN_TIMEOUT_S)
    found: JSON = reply.get("indices", {}).get(index, {})
    if not found:  # no shard answers, or the name stands for another index by now
        raise ClusterError(f"no shard of index {index!r} answers", status=404)
    answered = found.get("shards", {})
    if 0 < len(answered) < shards:  # some have no copy that answers, or the index was made anew with fewer
        shards = await count_shards(cluster, index)
    return IndexCheckpoints(str(found.get("uuid", "")), _read_shards(index, answered, shards))


def _read_shards(index: str, answered: Mapping[str, list[JSON]], shards: int) -> tuple[ShardCheckpoint, ...]:
    primaries = {int(number): _primary(copies) for number, copies in answered.items()}
    if not primaries or any(primaries.get(number) is None for number in range(max(shards, len(primaries)))):
        raise ClusterUnavailable(f"not every shard of index {index!r} has a primary that answers")
    return tuple(_read_shard(primaries[number] or {}) for number in range(len(primaries)))


def _primary(copies: list[JSON]) -> JSON | None:
    return next((copy for copy in copies if copy.get("routing", {}).get("primary") and "seq_no" in copy), None)


def _read_shard(primary: JSON) -> ShardCheckpoint:
    numbers = primary["seq_no"]
    history = str(primary.get("commit", {}).get("user_data", {}).get("history_uuid", ""))
    return ShardCheckpoint(history, int(numbers["global_checkpoint"]), int(numbers["max_seq_no"]))
