"""What ML Commons holds, which its searches show late: found, read, deployed, and taken out as soon as it lets go."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import warnings
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from connector.clusters.clients import Client
from connector.clusters.dialect import JSON
from connector.errors import ClusterError
from connector.native.opensearch_bodies import is_ours
from connector.native.refusals import explain_opensearch, read_users

TIMEOUT_S = 60.0
DEPLOY_TIMEOUT_S = 60.0
POLL_S = 0.1
HOLDINGS = "/.plugins-ml-connector,.plugins-ml-model,.plugins-ml-model-group"  # the indices of ML Commons
SETTLE_S = 10.0  # until searches of ML Commons see what was just done
CONNECTORS = "/_plugins/_ml/connectors"
MODELS = "/_plugins/_ml/models"
GROUPS = "/_plugins/_ml/model_groups"
TASKS = "/_plugins/_ml/tasks"
DEPLOYED = "DEPLOYED"
IN_USE = re.compile("still using this connector|has associated model|deploying or deployed state")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FoundPart:
    """What ML Commons holds under an id."""

    id: str
    body: JSON


class MLCommons:
    """Connectors, models and model groups of an OpenSearch. `worker_url` is for messages."""

    def __init__(self, client: Client, worker_url: str) -> None:
        self._client = client
        self._worker_url = worker_url
        self.undeployed: set[str] = set()  # of a connector that was not the one to be changed

    async def deploy(self, model_id: str) -> None:
        """Have the nodes load it, and wait until it is shown so. Raises ClusterError."""
        task = (await self.ask("POST", f"{MODELS}/{model_id}/_deploy"))["task_id"]
        reply: JSON = {}

        async def ended() -> bool:
            reply.update(await self.ask("GET", f"{TASKS}/{task}"))
            return reply.get("state") not in ("CREATED", "RUNNING")

        await self._wait(ended, f"model {model_id} to be deployed")
        if reply.get("state") != "COMPLETED":
            words = f"OpenSearch could not deploy model {model_id}: {reply.get('error', reply.get('state'))}"
            raise explain_opensearch(ClusterError(words), self._worker_url)

        async def deployed() -> bool:
            return await self.state(model_id) == DEPLOYED

        await self._wait(deployed, f"model {model_id} to be shown as deployed")

    async def _undeploy(self, model_id: str) -> None:
        await self.ask("POST", f"{MODELS}/{model_id}/_undeploy")

        async def gone() -> bool:
            return await self.state(model_id) != DEPLOYED

        await self._wait(gone, f"model {model_id} to be undeployed")

    async def remove_model(self, model_id: str) -> None:
        """Undeploy and delete it. Raises ClusterError."""
        await self.ask_when_free("DELETE", f"{MODELS}/{model_id}", models=[model_id])

    async def state(self, model_id: str) -> str:
        """As ML Commons calls it: `DEPLOYED`, for one."""
        return str((await self.ask("GET", f"{MODELS}/{model_id}")).get("model_state", ""))

    async def _wait(self, done: Callable[[], Awaitable[bool]], event: str) -> None:
        end = time.monotonic() + DEPLOY_TIMEOUT_S
        while not await done():
            if time.monotonic() > end:
                raise ClusterError(f"waited {DEPLOY_TIMEOUT_S:.0f} s for {event}; run the same command again")
            await asyncio.sleep(POLL_S)

    async def find(self, path: str, name: str) -> list[FoundPart]:
        """What is ours under that name, among connectors, models or model groups.

        A search still shows for a moment what was there before the last change, so each one that it finds is read once
        more."""
        query = {"query": {"term": {"name.keyword": name}}, "size": 100}
        await self._refresh()
        try:
            reply = await self.send("POST", f"{path}/_search", query)
        except ClusterError as error:
            if error.status == 404 and "no such index" in str(error):  # nobody has made one yet
                return []
            raise explain_opensearch(error, self._worker_url) from error
        found = [await self._read(path, FoundPart(hit["_id"], hit["_source"])) for hit in reply["hits"]["hits"]]
        return [part for part in found if part and is_ours(part.body)]

    async def _read(self, path: str, found: FoundPart) -> FoundPart | None:
        """It as it is now; None for one that is gone."""
        if path == GROUPS:  # which not every version lets be read, and of which nothing changes that is looked at
            return found
        try:
            return FoundPart(found.id, await self.send("GET", f"{path}/{found.id}"))
        except ClusterError as error:
            if error.status == 404:
                return None
            raise explain_opensearch(error, self._worker_url) from error

    async def _refresh(self) -> None:
        """Let searches of ML Commons see what was just done. Where its indices are the administrators' alone (the
        security plugin), that is left to the engine, which takes a second, and was seen to take more than ten."""
        with warnings.catch_warnings(action="ignore"):  # the client warns that these are system indices
            try:
                reply = await self.send("POST", f"{HOLDINGS}/_refresh", params={"ignore_unavailable": "true"})
            except ClusterError as error:
                log.debug("the indices of ML Commons are not refreshed: %s", error)
                return
        if failed := reply.get("_shards", {}).get("failed"):
            log.warning("%d shards of ML Commons's indices failed to refresh: it may show what was before", failed)

    async def ask_when_free(
        self,
        method: str,
        path: str,
        body: JSON | None = None,
        *,
        models: Sequence[str] = (),
        others: Collection[str] = (),
    ) -> JSON:
        """The reply to what ML Commons refuses while a model uses the thing, or is deployed; `models` are undeployed
        first, and those of the `others` that it names.

        It finds the models by a search, which for a moment still shows those that have just been undeployed or deleted
        (ml-commons issue 1567), and its job that compares states with nodes may write one that it read before."""
        end = time.monotonic() + SETTLE_S
        while True:
            for model_id in models:
                await self._undeploy(model_id)
            try:
                return await self.ask(method, path, body)
            except ClusterError as error:
                if not IN_USE.search(str(error)) or time.monotonic() > end:
                    raise
                named = {*others} & read_users(error) - {*models}
                models = [*models, *named]
                self.undeployed |= named
            await self._refresh()
            await asyncio.sleep(POLL_S)

    async def ask(self, method: str, path: str, body: JSON | None = None) -> JSON:
        """As `send`; a refusal says what to do about it."""
        try:
            return await self.send(method, path, body)
        except ClusterError as error:
            raise explain_opensearch(error, self._worker_url) from error

    async def send(
        self, method: str, path: str, body: JSON | None = None, params: dict[str, str] | None = None
    ) -> JSON:
        """The engine's reply. Raises ClusterError, in the engine's own words."""
        return await self._client.request(method, path, body=body, params=params, timeout_s=TIMEOUT_S)
