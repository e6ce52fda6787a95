"""Queries that an index keeps, such as OpenSearch's `ubi_queries`: counted by the engine, so that only the different
ones travel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from connector.clusters.paths import search_path
from connector.clusters.protocol import Cluster
from connector.clusters.rest import RestCluster
from connector.errors import SettingsError
from connector.judging.logs.outcome import SearchedFor
from connector.judging.logs.read import Entry

UBI_FIELD = "user_query"
PAGE = 1_000  # different queries of one reply
TIMEOUT_S = 60.0


async def read_logged(cluster: Cluster, index: str, field: str = UBI_FIELD) -> AsyncIterator[Entry]:
    """Each different value of a keyword field, with how many documents have it.

    Raises SettingsError for a store that keeps no such index, and ClusterError, also where the field is no keyword."""
    if not isinstance(cluster, RestCluster):
        raise SettingsError(
            f"the queries of an index are read from Elasticsearch or OpenSearch, and {cluster.engine} is neither; set "
            "cluster.url"
        )
    after: dict[str, Any] = {}
    while True:
        composite = {"size": PAGE, "sources": [{"text": {"terms": {"field": field}}}], **after}
        body = {"size": 0, "track_total_hits": False, "aggs": {"queries": {"composite": composite}}}
        reply = await cluster.client.request("POST", search_path(index, "_search"), body=body, timeout_s=TIMEOUT_S)
        found = reply.get("aggregations", {}).get("queries", {})
        for bucket in found.get("buckets", ()):
            yield Entry(SearchedFor(str(bucket["key"]["text"]), int(bucket["doc_count"])), f"{index}/{field}")
        if "after_key" not in found:
            return
        after = {"after": found["after_key"]}
