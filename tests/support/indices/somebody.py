"""Who makes indices that are not the connector's."""

from __future__ import annotations

from typing import Any

import httpx
from support.indices.scratch import drop_later, send_bulk, unique_name

from connector.clusters.protocol import Cluster, ForeignFields, Index
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings

TEXT = {"type": "text"}


def settings_of(somebody: Somebody, index: str) -> Settings:
    """Of searches in an index of theirs that nothing reranks and that have time."""
    given = {"cluster.url": str(somebody.client.base_url).rstrip("/"), "index.name": index}
    return load_settings(environ={}, overrides=given | {"search.rerank": [], "search.deadline_s": 120.0})


class Somebody:
    """Who makes indices of their own, over plain HTTP, and drops them in the end."""

    def __init__(self, url: str, cluster: Cluster) -> None:
        self.cluster = cluster
        self.is_elasticsearch = cluster.engine.kind == "elasticsearch"
        self._client = httpx.Client(base_url=url, timeout=60)
        self._indices: list[str] = []
        self._others: list[str] = []

    @property
    def client(self) -> httpx.Client:
        return self._client

    def send(self, method: str, path: str, body: Any = None) -> Any:
        return self._client.request(method, path, json=body).raise_for_status().json()

    def send_text(self, method: str, path: str, body: str) -> None:
        """A body just as it is written."""
        headers = {"content-type": "application/json"}
        self._client.request(method, path, content=body, headers=headers).raise_for_status()

    def read_text(self, path: str) -> str:
        return self._client.get(path).raise_for_status().text

    def make(
        self,
        mappings: dict[str, Any],
        *documents: dict[str, Any],
        settings: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> str:
        """An index with those documents: d0, d1, ... or `_id`, written with their `_routing`."""
        name = name or unique_name()
        self._indices.append(name)
        self.send("PUT", f"/{name}", {"mappings": mappings, "settings": settings or {}})
        if documents:
            self.write(name, *documents)
        return name

    def write(self, index: str, *documents: dict[str, Any]) -> None:
        """All of them in one request, and visible after it."""
        lines: list[Any] = []
        for at, document in enumerate(documents):
            source = {key: value for key, value in document.items() if key not in ("_id", "_routing")}
            routed = {"routing": document["_routing"]} if document.get("_routing") else {}
            lines += ({"index": {"_id": document.get("_id", f"d{at}")} | routed}, source)
        send_bulk(self._client, f"/{index}/_bulk?refresh=true", lines)

    def drop_later(self, name: str) -> None:
        """An index that others make for this one goes with it."""
        self._indices.append(name)

    def stream(self, mappings: dict[str, Any], *documents: dict[str, Any]) -> str:
        """A data stream, of which each document is in another backing index."""
        name = unique_name()
        self._others += [f"/_data_stream/{name}", f"/_index_template/{name}"]
        template = {"index_patterns": [name], "data_stream": {}, "template": {"mappings": mappings}}
        self.send("PUT", f"/_index_template/{name}", template)
        for at, document in enumerate(documents):
            if at:
                self.send("POST", f"/{name}/_rollover")
            self.send("POST", f"/{name}/_doc?refresh=true", document)
        return name

    def alias(self, index: str, **options: Any) -> str:
        name = unique_name()
        self.send("POST", "/_aliases", {"actions": [{"add": {"indices": index.split(","), "alias": name} | options}]})
        return name

    def vector(self, dims: int = 4, **options: Any) -> dict[str, Any]:
        if self.is_elasticsearch:
            return {"type": "dense_vector", "dims": dims, "index": True, "similarity": "cosine"} | options
        method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
        return {"type": "knn_vector", "dimension": dims, "method": method} | options

    def bits(self, dims: int) -> dict[str, Any]:
        if self.is_elasticsearch:
            return {"type": "dense_vector", "dims": dims, "element_type": "bit", "index": True}
        # by Lucene: these servers lack the library of faiss, the default, and end where it is needed
        method = {"name": "hnsw", "engine": "lucene", "space_type": "hamming"}
        return {"type": "knn_vector", "dimension": dims, "data_type": "binary", "method": method}

    @property
    def knn(self) -> dict[str, Any]:
        return {} if self.is_elasticsearch else {"index.knn": True}

    async def open(self, name: str, *text: str, vector: str | None = None) -> Index:
        return await self.cluster.open_index(name, ForeignFields(dict.fromkeys(text, 1.0), vector))

    def leave(self) -> None:
        drop_later(ClusterSettings(url=str(self._client.base_url).rstrip("/")), *self._indices)
        for path in self._others:
            self._client.delete(path)
        self._client.close()
