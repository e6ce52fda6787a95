"""An installation in Elasticsearch: inference endpoints that call the worker."""

from __future__ import annotations

from urllib.parse import quote

from connector.clusters.clients import Client
from connector.clusters.dialect import JSON
from connector.errors import ClusterError, SettingsError
from connector.native.elasticsearch_bodies import (
    EMBEDDING,
    RERANK,
    InferenceService,
    build_endpoint,
    build_example,
    endpoint_differs,
    is_ours,
)
from connector.native.plan import CHANGED, MADE, MISSING, REMOVED, UNCHANGED, Installed, NativePlan, Part, PartNames
from connector.native.refusals import explain_elasticsearch

TIMEOUT_S = 60.0
KIND = "inference endpoint"


class ElasticsearchNative:
    """The inference endpoints for one index. Elasticsearch tries an endpoint when it is made."""

    def __init__(self, client: Client, index: str, worker_url: str) -> None:
        self._client = client
        self._services = ((RERANK, PartNames(index).rerank), (EMBEDDING, PartNames(index).embedding))
        self._worker_url = worker_url  # for messages

    async def install(self, plan: NativePlan) -> Installed:
        wanted = [pair for pair in self._services if pair[0] is RERANK or plan.embeddings]
        return Installed([await self._install(plan, *pair) for pair in wanted], build_example(plan))

    async def show(self) -> list[Part]:
        parts = []
        for service, name in self._services:
            found = await self._find(service, name)
            url = found["service_settings"]["url"] if found else ""
            parts.append(Part(KIND, name, "there" if found else MISSING, name if found else "", url))
        return parts

    async def remove(self) -> list[Part]:
        removed = []
        for service, name in self._services:
            if await self._find(service, name):
                await self._ask("DELETE", service, name)
                removed.append(Part(KIND, name, REMOVED, name))
        return removed

    async def _install(self, plan: NativePlan, service: InferenceService, name: str) -> Part:
        body = build_endpoint(plan, service)
        found = await self._find(service, name)
        part = Part(KIND, name, UNCHANGED, name, body["service_settings"]["url"])
        if found and not endpoint_differs(found, body):
            return part
        if found:  # an endpoint's address cannot be changed
            await self._ask("DELETE", service, name)
        await self._ask("PUT", service, name, body)
        return part.as_(CHANGED if found else MADE)

    async def _find(self, service: InferenceService, name: str) -> JSON | None:
        """An endpoint of ours; None where it is not there. Raises SettingsError for one that somebody else made."""
        try:
            reply = await self._ask("GET", service, name)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise
        found: JSON = reply["endpoints"][0]
        if not is_ours(found, service):
            raise SettingsError(
                f"the inference endpoint {name} was not made by connector native install; delete it first"
            )
        return found

    async def _ask(self, method: str, service: InferenceService, name: str, body: JSON | None = None) -> JSON:
        path = f"/_inference/{service.task}/{quote(name, safe='')}"
        try:
            return await self._client.request(method, path, body=body, timeout_s=TIMEOUT_S)
        except ClusterError as error:
            raise explain_elasticsearch(error, self._worker_url) from error
