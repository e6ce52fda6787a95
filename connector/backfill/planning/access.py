"""What the configured credentials may do with an index. Elasticsearch answers the question itself; OpenSearch is asked
for what changes nothing: a mapping without a field, an update of a document that is not there."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from urllib.parse import quote

import orjson

from connector.clusters.clients import Client
from connector.clusters.failures import is_denial
from connector.clusters.privileges import has_users, is_denied, read_privileges
from connector.clusters.protocol import Engine
from connector.errors import AccessDenied, ClusterError

TIMEOUT_S = 60.0
HIDES_SOME = "FLS or DLS"  # in what OpenSearch says of updates, with HTTP 500, to whom it hides something
ON_INDEX = {
    "read": "read",
    "write": "index",
    "mapping": "indices:admin/mapping/put",
    "refresh": "maintenance",
    "stats": "monitor",
}


async def read_denied(client: Client, engine: Engine, index: str) -> dict[str, str]:
    """What may not be done, each with the privilege that is missing: read, write, mapping, refresh, stats, nodes."""
    ask = _ask_elasticsearch if engine.kind == "elasticsearch" else _ask_opensearch
    denied = await ask(client, index)
    if denied is None:
        return {}
    return denied | (await _ask_for_update(client, index) if "write" not in denied else {})


async def _ask_elasticsearch(client: Client, index: str) -> dict[str, str] | None:
    """None where there are no users."""
    asked = [{"names": [index], "privileges": sorted(ON_INDEX.values())}]
    body = {"cluster": ["monitor"], "index": asked}
    reply = await read_privileges(client, body, timeout_s=TIMEOUT_S)
    if reply is None:
        return None
    granted: Mapping[str, bool] = reply["index"][index]
    denied = {access: privilege for access, privilege in ON_INDEX.items() if not granted[privilege]}
    return denied if reply["cluster"]["monitor"] else denied | {"nodes": "monitor (of the cluster)"}


async def _ask_opensearch(client: Client, index: str) -> dict[str, str] | None:
    """None where there are no users."""
    if not await has_users(client, timeout_s=TIMEOUT_S):
        return None
    path = f"/{quote(index, safe='')}"
    harmless = {
        "read": ("indices:data/read/search", "POST", f"{path}/_search", {"size": 0}),
        "mapping": ("indices:admin/mapping/put", "PUT", f"{path}/_mapping", {"properties": {}}),
        "refresh": ("indices:admin/refresh", "POST", f"{path}/_refresh", None),
        "stats": ("indices:monitor/stats", "GET", f"{path}/_stats/search", None),
        "nodes": ("cluster:monitor/nodes/stats", "GET", "/_nodes/stats/os", None),
    }
    denied = {}
    for access, (action, method, address, body) in harmless.items():
        if await is_denied(client, method, address, body, timeout_s=TIMEOUT_S):
            denied[access] = action
    return denied


async def _ask_for_update(client: Client, index: str) -> dict[str, str]:
    """`write`, where updates are denied: for want of a privilege, which OpenSearch says of each item alone, or because
    some documents or fields are hidden from these credentials. The document that is asked about is not there."""
    action = {"update": {"_id": uuid.uuid4().hex, "routing": "none"}}
    line = orjson.dumps(action) + b"\n" + orjson.dumps({"doc": {}}) + b"\n"
    try:
        reply = await client.bulk(index, [line], timeout_s=TIMEOUT_S)
    except AccessDenied as error:
        return {"write": str(error)}
    except ClusterError as error:
        if error.status is None:
            raise
        return {"write": str(error)} if HIDES_SOME in str(error) else {}
    items = [item for entry in reply.get("items", ()) for item in entry.values()]
    denial = next((item["error"] for item in items if is_denial(item.get("error"))), None)
    return {"write": str(denial.get("reason", ""))} if denial else {}
