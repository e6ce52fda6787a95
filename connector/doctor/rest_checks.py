"""The checks of Elasticsearch and OpenSearch: health, privileges, the index's settings, mapping and contents.

Privileges: Elasticsearch answers the question itself. OpenSearch is asked for what changes nothing: writes that must
conflict (`if_seq_no` of a document that is not there), and an index that no engine creates (of 0 shards)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

from connector.backfilled import Backfilled
from connector.clusters.beside.index import BesideIndex
from connector.clusters.beside.lag import measure_lag
from connector.clusters.clients import Client
from connector.clusters.dialect import JSON, PASSAGES, any_of, ask_texts, has_vector, nested_query
from connector.clusters.failures import is_denial
from connector.clusters.indices.mapping import build_index
from connector.clusters.paths import SEVERAL
from connector.clusters.privileges import has_users, is_denied, read_privileges
from connector.clusters.protocol import Engine, Index
from connector.clusters.rest_index import OPEN_ONLY, RestIndex
from connector.clusters.writing.restored_vectors import most_nested
from connector.doctor.beside_checks import judge_lag
from connector.doctor.cluster_checks import judge_contents
from connector.doctor.findings import Finding
from connector.doctor.in_place_checks import also_of_others, judge_in_place, measure_in_place
from connector.doctor.read_samples import read_sample
from connector.doctor.rest_findings import (
    differences,
    judge_access,
    judge_blocks,
    judge_copies,
    judge_health,
    judge_mapping,
    judge_open,
    worst,
)
from connector.doctor.samples import Sample
from connector.doctor.vector_checks import look_at_vector_index
from connector.errors import AccessDenied, ClusterError
from connector.schema import IndexSchema


class RestChecks:
    """Asks over the cluster's own client, as the configured credentials."""

    def __init__(self, client: Client, engine: Engine, *, url: str, timeout_s: float) -> None:
        self._client = client
        self._engine = engine
        self._most_nested = most_nested(engine, {})
        self._url = url
        self._timeout_s = timeout_s

    async def health(self, index: str | None) -> Finding:
        cluster = await self._ask("GET", "/_cluster/health")
        if index is None:
            return judge_health(cluster, None, "")
        found = await self._ask("GET", f"/_cluster/health/{quote(index, safe='')}", params={"level": "shards"})
        return judge_health(cluster, found, await self._why_unassigned(found))

    async def access(self, index: str, *, exists: bool) -> list[Finding]:
        missing = await (
            self._elasticsearch_access if self._engine.kind == "elasticsearch" else self._opensearch_access
        )(index, exists)
        if not missing:
            return [judge_open(self._url)]
        found = judge_access(missing, exists=exists)
        return found[:1] if set(index) & SEVERAL else found  # nothing is ingested into several

    async def state(self, index: Index) -> list[Finding]:
        found = await self._ask("GET", f"/{quote(index.name, safe='')}/_settings", params={"flat_settings": "true"})
        members, nodes = index.schema.layout.members, await self._nodes()
        settings = {name: entry["settings"] for name, entry in found.items() if name not in members.closed}
        findings = [
            worst({name: judge(index_settings) for name, index_settings in settings.items()})
            for judge in (partial(judge_copies, nodes=nodes), judge_blocks)
        ]
        if not index.schema.managed:
            return findings
        reply = await self._ask("GET", f"/{quote(index.name, safe='')}/_mapping")
        actual = next(iter(reply.values()))["mappings"]
        expected = build_index(self._engine, index.schema)["mappings"]
        mapping = judge_mapping(list(differences(expected["properties"], actual.get("properties", {}))))
        return [mapping, *findings, await look_at_vector_index(self._ask, self._engine, index)]

    async def contents(self, index: Index) -> Finding:
        if isinstance(index, BesideIndex):
            lag = await measure_lag(index, timeout_s=self._timeout_s)
            return judge_lag(lag, index.name, same_index=index.is_of_same_index)
        if isinstance(index, RestIndex) and index.schema.encoders:
            reply = await self._ask("GET", f"/{quote(index.name, safe='')}/_mapping")
            metas = [found["mappings"].get("_meta", {}) for found in reply.values()]
            if backfills := next(filter(None, map(Backfilled.all_from_meta, metas)), ()):
                measured = [await measure_in_place(index, added, timeout_s=self._timeout_s) for added in backfills]
                others = {added.encoder.name: found for added, found in zip(backfills[1:], measured[1:], strict=True)}
                return also_of_others(judge_in_place(measured[0], index.name), others)
        documents = await self._count(index, {"match_all": {}})
        field = index.schema.vector_field
        if field is None:
            return judge_contents(documents, None, managed=index.schema.managed)
        with_vectors = await self._count(index, has_vector(index.schema))
        return judge_contents(documents, with_vectors, managed=index.schema.managed)

    async def samples(self, index: Index, count: int) -> list[Sample]:
        schema = index.schema
        have_text = {"bool": {"should": [_has(schema, name) for name in schema.fields.text], "minimum_should_match": 1}}
        body: JSON = {"size": count, "query": have_text}
        if schema.managed:
            body["_source"] = [*schema.fields.text, f"{PASSAGES}.text", f"{PASSAGES}.vector"]
        else:
            body |= ask_texts(schema)
            if schema.vector_field and schema.layout.has_source:
                body["_source"] = [*(body["_source"] or ()), schema.vector_field]
        reply = await self._search_with_vectors(index, body)
        samples = [read_sample(hit, schema, self._most_nested) for hit in reply["hits"]["hits"]]
        return await self._with_vectors_beside(index, samples) if isinstance(index, BesideIndex) else samples

    async def _with_vectors_beside(self, index: BesideIndex, samples: list[Sample]) -> list[Sample]:
        """The same documents of theirs with the pieces and vectors that ours holds of them."""
        only = any_of(index.vectors.schema, [sample.doc_id for sample in samples])
        body: JSON = {
            "size": max(len(samples), 1),
            "query": only,
            "_source": [f"{PASSAGES}.text", f"{PASSAGES}.vector"],
        }
        reply = await self._search_with_vectors(index.vectors, body)
        ours = [read_sample(hit, index.vectors.schema, self._most_nested) for hit in reply["hits"]["hits"]]
        found = {sample.doc_id: sample.vectors for sample in ours}
        return [replace(sample, vectors=found.get(sample.doc_id, ())) for sample in samples]

    async def _search_with_vectors(self, index: Index, body: JSON) -> JSON:
        """The reply to a search that asks for vectors: Elasticsearch 9 leaves them out of `_source` unless it is asked
        for them; earlier versions know no such option."""
        path, open_only = f"/{quote(index.name, safe='')}/_search", _open_only(index)
        if self._engine.kind == "elasticsearch" and isinstance(body.get("_source"), list):
            with_vectors = body | {"_source": {"includes": body["_source"], "exclude_vectors": False}}
            try:
                return await self._ask("POST", path, body=with_vectors, params=open_only)
            except ClusterError as error:
                if error.status != 400:
                    raise
        return await self._ask("POST", path, body=body, params=open_only)

    async def _ask(self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None) -> JSON:
        return await self._client.request(method, path, body=body, params=params, timeout_s=self._timeout_s)

    async def _count(self, index: Index, query: JSON) -> int:
        path = f"/{quote(index.name, safe='')}/_count"
        return int((await self._ask("POST", path, body={"query": query}, params=_open_only(index)))["count"])

    async def _nodes(self) -> int | None:
        """How many nodes hold data; None where these credentials may not see it."""
        try:
            return int((await self._ask("GET", "/_cluster/health"))["number_of_data_nodes"])
        except AccessDenied:
            return None

    async def _why_unassigned(self, health: JSON) -> str:
        """The engine's reason why a shard of an index that is not green has no node; empty where it gives none."""
        for name, index in health.get("indices", {}).items():
            for shard, state in index.get("shards", {}).items():
                if state["status"] != "green":
                    body = {"index": name, "shard": int(shard), "primary": not state["primary_active"]}
                    try:
                        return _read_reason(await self._ask("POST", "/_cluster/allocation/explain", body=body))
                    except ClusterError:
                        return ""
        return ""

    async def _elasticsearch_access(self, index: str, exists: bool) -> dict[str, list[str]]:
        tasks = {
            "search": ["read", "view_index_metadata"],
            "ingest": ["read", "view_index_metadata", "write", "maintenance", *([] if exists else ["create_index"])],
        }
        body = {
            "index": [
                {
                    "names": index.split(","),
                    "privileges": sorted({privilege for task in tasks.values() for privilege in task}),
                }
            ]
        }
        reply = await read_privileges(self._client, body, timeout_s=self._timeout_s)
        if reply is None:
            return {}
        granted = reply["index"].values()
        return {
            task: [privilege for privilege in privileges if not all(has.get(privilege) for has in granted)]
            for task, privileges in tasks.items()
        }

    async def _opensearch_access(self, index: str, exists: bool) -> dict[str, list[str]]:
        if not await has_users(self._client, timeout_s=self._timeout_s):
            return {}
        path = f"/{quote(index, safe='')}"
        search = [
            *await self._denied("indices:admin/mappings/get", "GET", f"{path}/_mapping"),
            *await self._denied("indices:data/read/search", "POST", f"{path}/_search", {"size": 0}),
            *await self._denied("indices:data/read/mget", "POST", f"{path}/_mget", {"ids": [uuid.uuid4().hex]}),
        ]
        ingest = [*search, *await self._denied("indices:admin/refresh", "POST", f"{path}/_refresh")]
        if exists:
            ingest += await self._denied_writes(index)
        else:
            impossible = {"settings": {"index.number_of_shards": 0}}
            ingest += await self._denied("indices:admin/create", "PUT", path, impossible)
        return {"search": search, "ingest": ingest}

    async def _denied(self, action: str, method: str, path: str, body: Any = None) -> list[str]:
        """The action, where the request for it is refused for want of a privilege."""
        return [action] if await is_denied(self._client, method, path, body, timeout_s=self._timeout_s) else []

    async def _denied_writes(self, index: str) -> list[str]:
        nowhere = {"_index": index, "_id": f"doctor-{uuid.uuid4().hex}", "if_seq_no": 0, "if_primary_term": 1}
        lines = [{"index": nowhere}, {}, {"delete": nowhere}]
        try:
            reply = await self._client.bulk(
                index, [json.dumps(line).encode() + b"\n" for line in lines], timeout_s=self._timeout_s
            )
        except AccessDenied:
            return ["indices:data/write/bulk"]
        items = [(action, result) for item in reply["items"] for action, result in item.items()]
        return [f"indices:data/write/{action}" for action, result in items if is_denial(result.get("error"))]


def _read_reason(reply: JSON) -> str:
    """Why a shard is not assigned, from the reply of `_cluster/allocation/explain`."""
    why = str(reply.get("allocate_explanation", "")).rstrip(".")
    deciders = [
        str(decider["explanation"])
        for node in reply.get("node_allocation_decisions", [])[:1]
        for decider in node.get("deciders", [])[:1]
    ]
    return ": ".join(part for part in (why, *deciders) if part)[:400]


def _open_only(index: Index) -> Mapping[str, str]:
    """What keeps a closed member of several indices from failing a request."""
    return OPEN_ONLY if index.schema.layout.members.closed else {}


def _has(schema: IndexSchema, name: str) -> JSON:
    """The query for documents with a value in a text field."""
    query = {"exists": {"field": name}}
    path = schema.layout.nested.get(name)
    return nested_query(path, query) if path else query
