"""An installation in OpenSearch: its parts are found by their names, made, changed, tried and taken out."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import warnings
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connector.clusters.clients import Client
from connector.clusters.dialect import JSON
from connector.errors import AccessDenied, ClusterError, SettingsError
from connector.native.key_digest import digest_key, is_digest_of
from connector.native.opensearch_bodies import (
    EMBEDDING,
    RERANK,
    ModelService,
    build_connector,
    build_example,
    build_ingest_pipeline,
    build_model,
    build_search_pipeline,
    connector_differs,
    count_reranked,
    is_ours,
)
from connector.native.plan import (
    CHANGED,
    LEFT_OUT,
    MADE,
    MISSING,
    REMOVED,
    UNCHANGED,
    Installed,
    NativePlan,
    Part,
    PartNames,
)
from connector.native.refusals import explain_opensearch, explain_other_users, explain_trial, read_users

TIMEOUT_S = 60.0
DEPLOY_TIMEOUT_S = 60.0
POLL_S = 0.1
HOLDINGS = "/.plugins-ml-connector,.plugins-ml-model,.plugins-ml-model-group"  # the indices of ML Commons
SETTLE_S = 10.0  # until searches of ML Commons see what was just done
CONNECTORS = "/_plugins/_ml/connectors"
MODELS = "/_plugins/_ml/models"
GROUPS = "/_plugins/_ml/model_groups"
TASKS = "/_plugins/_ml/tasks"
INGEST = "/_ingest/pipeline"
SEARCH = "/_search/pipeline"
DEPLOYED = "DEPLOYED"
# its job that compares states with nodes says the second of a model whose undeployment it met half done
NOT_DEPLOYED = ("UNDEPLOYED", "DEPLOY_FAILED")
IN_USE = re.compile("still using this connector|has associated model|deploying or deployed state")
DEFAULTS = ("index.search.default_pipeline", "index.default_pipeline", "index.final_pipeline")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FoundPart:
    """What ML Commons holds under an id."""

    id: str
    body: JSON


class OpenSearchNative:
    """Connectors and models of ML Commons that call the worker, and pipelines that use them, for one index."""

    def __init__(self, client: Client, index: str, worker_url: str) -> None:
        self._client = client
        self._index = index
        self._names = PartNames(index)
        self._worker_url = worker_url  # for messages
        self._undeployed: set[str] = set()  # of a connector that was not the one to be changed

    async def install(self, plan: NativePlan) -> Installed:
        services = [(RERANK, self._names.rerank), *([(EMBEDDING, self._names.embedding)] if plan.embeddings else [])]
        # all connectors before any model: the change of one may need the model of the other undeployed
        connectors = [await self._install_connector(plan, service, name) for service, name in services]
        if not plan.embeddings:
            for model_id in self._undeployed:  # of an installation that had them
                await self._deploy(model_id)
        models, parts = list[str](), list[Part]()
        for (service, name), connector in zip(services, connectors, strict=True):
            model = await self._install_model(plan, name, connector)
            await self._try(plan, service, model.id)
            models.append(model.id)
            parts += [connector, model]
        rerank_model, embedding_model = models[0], models[1] if plan.embeddings else None
        if embedding_model:
            parts.append(await self._install_ingest(plan, embedding_model))
        widen, search = await self._install_search(plan, rerank_model, embedding_model)
        return Installed([*parts, search], build_example(plan, widen=widen))

    async def show(self) -> list[Part]:
        parts = []
        for name in (self._names.rerank, self._names.embedding):
            connectors, models = await self._find(CONNECTORS, name), await self._find(MODELS, name)
            urls = [found.body["actions"][0]["url"] for found in connectors]
            parts += [
                Part("connector", name, "there", found.id, url) for found, url in zip(connectors, urls, strict=True)
            ]
            parts += [_shown(name, found) for found in models]
            parts += [Part("connector", name, MISSING)] if not connectors else []
            parts += [Part("model", name, MISSING)] if not models else []
        for kind, path, name in self._pipelines():
            if await self._pipeline(path, name) is None:
                parts.append(Part(kind, name, MISSING))
            else:
                parts.append(Part(kind, name, "there", name, await self._reranked() if path == SEARCH else ""))
        return parts

    async def remove(self) -> list[Part]:
        await self._require_unused()
        removed = []
        for kind, path, name in self._pipelines():
            if await self._pipeline(path, name) is not None:
                await self._ask("DELETE", f"{path}/{quote(name, safe='')}")
                removed.append(Part(kind, name, REMOVED, name))
        names = (self._names.rerank, self._names.embedding)
        # All models before any connector. ML Commons finds a connector's models by the words of its id, cut at "-", and
        # where the ids of a node have a word in common it takes the model of one for that of another.
        for name in names:
            for model in await self._find(MODELS, name):
                await self._remove_model(model.id)
                removed.append(Part("model", name, REMOVED, model.id))
        for name in names:
            for group in await self._find(GROUPS, name):  # which ML Commons made for the model
                await self._ask_when_free("DELETE", f"{GROUPS}/{group.id}")
                removed.append(Part("model group", name, REMOVED, group.id))
            for connector in await self._find(CONNECTORS, name):
                await self._ask_when_free("DELETE", f"{CONNECTORS}/{connector.id}")
                removed.append(Part("connector", name, REMOVED, connector.id))
        return removed

    async def _install_connector(self, plan: NativePlan, service: ModelService, name: str) -> Part:
        found = next(iter(await self._find(CONNECTORS, name)), None)
        if found is None:
            body = build_connector(plan, service, name=name, digest=digest_key(plan.api_key))
            reply = await self._ask("POST", f"{CONNECTORS}/_create", body)
            return Part("connector", name, MADE, reply["connector_id"], body["actions"][0]["url"])
        digest = str(found.body.get("parameters", {}).get("key_digest", ""))
        same_key = is_digest_of(digest, plan.api_key)
        body = build_connector(plan, service, name=name, digest=digest if same_key else digest_key(plan.api_key))
        part = Part("connector", name, UNCHANGED, found.id, body["actions"][0]["url"])
        if same_key and not connector_differs(found.body, body):
            return part
        await self._change_connector(found.id, name, body)
        return part.as_(CHANGED)

    async def _change_connector(self, connector_id: str, name: str, body: JSON) -> None:
        """Its own models keep a connector from being changed; where the ids of a node have a word in common, others do
        too: see `remove`. Those are undeployed as well, where they are of this index."""
        names = (self._names.rerank, self._names.embedding)
        ours = {model.id: model_name for model_name in names for model in await self._find(MODELS, model_name)}
        models = [model_id for model_id, model_name in ours.items() if model_name == name]
        try:
            await self._ask_when_free("PUT", f"{CONNECTORS}/{connector_id}", body, models=models, others=ours)
        except ClusterError as error:
            raise explain_other_users(error, connector_id, ours) from error

    async def _install_model(self, plan: NativePlan, name: str, connector: Part) -> Part:
        found = next(iter(await self._find(MODELS, name)), None)
        if found and found.body.get("connector_id") != connector.id:
            await self._remove_model(found.id)
            found = None
        if found is None:
            body = build_model(plan, name=name, connector_id=connector.id)
            reply = await self._ask("POST", f"{MODELS}/_register", body)
            await self._deploy(reply["model_id"])
            return Part("model", name, MADE, reply["model_id"], DEPLOYED.lower())
        part = Part("model", name, UNCHANGED, found.id, DEPLOYED.lower())
        if connector.state == UNCHANGED and await self._state(found.id) == DEPLOYED:
            return part
        await self._deploy(found.id)
        return part.as_(CHANGED)

    async def _install_ingest(self, plan: NativePlan, model_id: str) -> Part:
        name = self._names.ingest
        body = build_ingest_pipeline(plan, model_id=model_id)
        if isinstance(body, str):
            return Part("ingest pipeline", name, LEFT_OUT, detail=body)
        return Part("ingest pipeline", name, await self._put(INGEST, name, body), name)

    async def _install_search(
        self, plan: NativePlan, rerank_model: str, embedding_model: str | None
    ) -> tuple[bool, Part]:
        """Whether searches are widened to the window, which a server without that module cannot do; and what was
        done."""

        async def put(*, widen: bool) -> tuple[bool, Part]:
            body = build_search_pipeline(plan, rerank_model=rerank_model, embedding_model=embedding_model, widen=widen)
            name = self._names.search
            return widen, Part("search pipeline", name, await self._put(SEARCH, name, body), name)

        try:
            return await put(widen=True)
        except ClusterError as error:
            if "oversample" not in str(error):
                raise
        return await put(widen=False)

    async def _put(self, path: str, name: str, body: JSON) -> str:
        """Write a pipeline if it is not there or differs; what was done."""
        found = await self._pipeline(path, name)
        if found == body:
            return UNCHANGED
        await self._ask("PUT", f"{path}/{quote(name, safe='')}", body)
        return MADE if found is None else CHANGED

    async def _try(self, plan: NativePlan, service: ModelService, model_id: str) -> None:
        """Call the worker through the engine. Raises ClusterError, SettingsError for vectors that do not fit the
        index."""
        try:
            reply = await self._send("POST", f"{MODELS}/{model_id}/_predict", {"parameters": dict(service.trial)})
        except ClusterError as error:
            raise explain_trial(error, self._worker_url) from error
        if service is EMBEDDING:
            dims = reply["inference_results"][0]["output"][0]["shape"][0]
            if plan.schema.dims and dims != plan.schema.dims:
                raise SettingsError(
                    f"the worker at {plan.worker_url} makes vectors of {dims} dimensions, but index {plan.index!r} "
                    f"holds such of {plan.schema.dims}; start it with the encoder that filled the index, or leave "
                    "embeddings out: --no-embeddings"
                )

    async def _deploy(self, model_id: str) -> None:
        task = (await self._ask("POST", f"{MODELS}/{model_id}/_deploy"))["task_id"]
        reply: JSON = {}

        async def ended() -> bool:
            reply.update(await self._ask("GET", f"{TASKS}/{task}"))
            return reply.get("state") not in ("CREATED", "RUNNING")

        await self._wait(ended, f"model {model_id} to be deployed")
        if reply.get("state") != "COMPLETED":
            words = f"OpenSearch could not deploy model {model_id}: {reply.get('error', reply.get('state'))}"
            raise explain_opensearch(ClusterError(words), self._worker_url)

        async def deployed() -> bool:
            return await self._state(model_id) == DEPLOYED

        await self._wait(deployed, f"model {model_id} to be shown as deployed")

    async def _undeploy(self, model_id: str) -> None:
        await self._ask("POST", f"{MODELS}/{model_id}/_undeploy")

        async def gone() -> bool:
            return await self._state(model_id) != DEPLOYED

        await self._wait(gone, f"model {model_id} to be undeployed")

    async def _remove_model(self, model_id: str) -> None:
        await self._ask_when_free("DELETE", f"{MODELS}/{model_id}", models=[model_id])

    async def _state(self, model_id: str) -> str:
        return str((await self._ask("GET", f"{MODELS}/{model_id}")).get("model_state", ""))

    async def _wait(self, done: Callable[[], Awaitable[bool]], event: str) -> None:
        end = time.monotonic() + DEPLOY_TIMEOUT_S
        while not await done():
            if time.monotonic() > end:
                raise ClusterError(f"waited {DEPLOY_TIMEOUT_S:.0f} s for {event}; run the same command again")
            await asyncio.sleep(POLL_S)

    async def _find(self, path: str, name: str) -> list[FoundPart]:
        """What is ours under that name, among connectors, models or model groups.

        A search still shows for a moment what was there before the last change, so each one that it finds is read once
        more."""
        query = {"query": {"term": {"name.keyword": name}}, "size": 100}
        await self._refresh()
        try:
            reply = await self._send("POST", f"{path}/_search", query)
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
            return FoundPart(found.id, await self._send("GET", f"{path}/{found.id}"))
        except ClusterError as error:
            if error.status == 404:
                return None
            raise explain_opensearch(error, self._worker_url) from error

    async def _refresh(self) -> None:
        """Let searches of ML Commons see what was just done. Where its indices are the administrators' alone (the
        security plugin), that is left to the engine, which takes a second, and was seen to take more than ten."""
        with warnings.catch_warnings(action="ignore"):  # the client warns that these are system indices
            try:
                reply = await self._send("POST", f"{HOLDINGS}/_refresh", params={"ignore_unavailable": "true"})
            except ClusterError as error:
                log.debug("the indices of ML Commons are not refreshed: %s", error)
                return
        if failed := reply.get("_shards", {}).get("failed"):
            log.warning("%d shards of ML Commons's indices failed to refresh: it may show what was before", failed)

    async def _pipeline(self, path: str, name: str) -> JSON | None:
        """A pipeline of ours; None where it is not there. Raises SettingsError for one that somebody else made."""
        try:
            reply = await self._send("GET", f"{path}/{quote(name, safe='')}")
        except ClusterError as error:
            if error.status == 404:
                return None
            raise explain_opensearch(error, self._worker_url) from error
        found: JSON | None = reply.get(name)
        if found is not None and not is_ours(found):
            raise SettingsError(f"the pipeline {name} was not made by connector native install; rename or delete it")
        return found

    async def _require_unused(self) -> None:
        """Refuse to take pipelines out that the index uses by default: its searches or writes would fail."""
        try:
            reply = await self._send(
                "GET", f"/{quote(self._index, safe='')}/_settings", params={"flat_settings": "true"}
            )
        except ClusterError as error:
            if error.status == 404:
                return
            raise
        for index, body in reply.items():
            for setting in DEFAULTS:
                if body["settings"].get(setting) in (self._names.search, self._names.ingest):
                    raise SettingsError(
                        f"index {index!r} uses {body['settings'][setting]} by default; first: "
                        f'PUT /{index}/_settings {{"{setting}": null}}'
                    )

    async def _reranked(self) -> str:
        """How many searches were reranked since the nodes started, in words; "" for who may not know."""
        try:
            return count_reranked(await self._ask("GET", "/_nodes/stats/search_pipeline"), self._names.search)
        except AccessDenied:
            return ""

    def _pipelines(self) -> list[tuple[str, str, str]]:
        return [
            ("search pipeline", SEARCH, self._names.search),
            ("ingest pipeline", INGEST, self._names.ingest),
        ]

    async def _ask_when_free(
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
                return await self._ask(method, path, body)
            except ClusterError as error:
                if not IN_USE.search(str(error)) or time.monotonic() > end:
                    raise
                named = {*others} & read_users(error) - {*models}
                models = [*models, *named]
                self._undeployed |= named
            await self._refresh()
            await asyncio.sleep(POLL_S)

    async def _ask(self, method: str, path: str, body: JSON | None = None) -> JSON:
        try:
            return await self._send(method, path, body)
        except ClusterError as error:
            raise explain_opensearch(error, self._worker_url) from error

    async def _send(
        self, method: str, path: str, body: JSON | None = None, params: dict[str, str] | None = None
    ) -> JSON:
        return await self._client.request(method, path, body=body, params=params, timeout_s=TIMEOUT_S)


def _shown(name: str, model: FoundPart) -> Part:
    state = str(model.body.get("model_state", ""))
    detail = "connector native install deploys it" if state in NOT_DEPLOYED else ""
    return Part("model", name, state.lower(), model.id, detail)
