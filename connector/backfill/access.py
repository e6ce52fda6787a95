"""What the configured credentials may do with an index. Elasticsearch answers the question itself; OpenSearch is asked
for what changes nothing: a mapping without a field, an update of a document that is not there."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from connector.clusters.clients import Client
from connector.clusters.paths import index_path
from connector.clusters.protocol import Engine
from connector.errors import AccessDenied, ClusterError

TIMEOUT_S = 60.0
NO_SUCH_ROUTE = frozenset({400, 404, 405, 500, 501})  # how the engines without security refuse a request for it
ON_INDEX = {"read": "read", "write": "write", "mapping": "manage", "refresh": "maintenance", "stats": "monitor"}


async def read_denied(client: Client, engine: Engine, index: str) -> dict[str, str]:
    """What may not be done, each with the privilege that is missing: read, write, mapping, refresh, stats, nodes."""
    ask = _ask_elasticsearch if engine.kind == "elasticsearch" else _ask_opensearch
    return await ask(client, index)


async def _ask_elasticsearch(client: Client, index: str) -> dict[str, str]:
    asked = [{"names": [index], "privileges": sorted(ON_INDEX.values())}]
    body = {"cluster": ["monitor"], "index": asked}
    try:
        reply = await client.request("POST", "/_security/user/_has_privileges", body=body, timeout_s=TIMEOUT_S)
    except AccessDenied:
        raise
    except ClusterError as error:
        if error.status in NO_SUCH_ROUTE:
            return {}
        raise
    granted: Mapping[str, bool] = reply["index"][index]
    denied = {what: privilege for what, privilege in ON_INDEX.items() if not granted[privilege]}
    return denied if reply["cluster"]["monitor"] else denied | {"nodes": "monitor (of the cluster)"}


async def _ask_opensearch(client: Client, index: str) -> dict[str, str]:
    try:
        await client.request("GET", "/_plugins/_security/authinfo", timeout_s=TIMEOUT_S)
    except AccessDenied:
        raise
    except ClusterError as error:
        if error.status in NO_SUCH_ROUTE:
            return {}
        raise
    path = f"/{quote(index, safe='')}"
    harmless = {
        "read": ("indices:data/read/search", "POST", f"{path}/_search", {"size": 0}),
        "mapping": ("indices:admin/mapping/put", "PUT", f"{path}/_mapping", {"properties": {}}),
        "refresh": ("indices:admin/refresh", "POST", f"{path}/_refresh", None),
        "stats": ("indices:monitor/stats", "GET", f"{path}/_stats/search", None),
        "nodes": ("cluster:monitor/nodes/stats", "GET", "/_nodes/stats/os", None),
    }
    denied = {}
    for what, (action, method, address, body) in harmless.items():
        if await _is_denied(client, method, address, body):
            denied[what] = action
    return denied | ({"write": "indices:data/write/update"} if await _may_not_write(client, index) else {})


async def _is_denied(client: Client, method: str, path: str, body: Any) -> bool:
    """Whether a request is refused for want of a privilege; whatever else is said of it does not matter."""
    try:
        await client.request(method, path, body=body, timeout_s=TIMEOUT_S)
    except AccessDenied:
        return True
    except ClusterError as error:
        if error.status is None:
            raise
    return False


async def _may_not_write(client: Client, index: str) -> bool:
    """Whether an update is denied, which OpenSearch says of its item alone; the document is not there."""
    action = {"update": {"_id": uuid.uuid4().hex, "routing": "none"}}
    line = orjson.dumps(action) + b"\n" + orjson.dumps({"doc": {}}) + b"\n"
    index_path(index)  # exactly one
    try:
        reply = await client.bulk(index, [line], timeout_s=TIMEOUT_S)
    except AccessDenied:
        return True
    except ClusterError as error:
        if error.status is None:
            raise
        return False
    errors = [item.get("error", {}) for each in reply.get("items", ()) for item in each.values()]
    return any(error.get("type") == "security_exception" for error in errors)
