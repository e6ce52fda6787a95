"""An installation in OpenSearch: its parts are found by their names, made, changed, tried and taken out."""

from __future__ import annotations

from urllib.parse import quote

from connector.clusters.clients import Client
from connector.clusters.dialect import JSON
from connector.errors import AccessDenied, ClusterError, SettingsError
from connector.native.key_digest import digest_key, is_digest_of
from connector.native.ml_commons import CONNECTORS, DEPLOYED, GROUPS, MODELS, FoundPart, MLCommons
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
from connector.native.refusals import explain_kept, explain_opensearch, explain_other_users, explain_trial, read_users

INGEST = "/_ingest/pipeline"
SEARCH = "/_search/pipeline"
# the job of ML Commons that compares states with nodes says the second of a model whose undeployment it met half done
NOT_DEPLOYED = ("UNDEPLOYED", "DEPLOY_FAILED")
DEFAULTS = ("index.search.default_pipeline", "index.default_pipeline", "index.final_pipeline")


class OpenSearchNative:
    """Connectors and models of ML Commons that call the worker, and pipelines that use them, for one index."""

    def __init__(self, client: Client, index: str, worker_url: str) -> None:
        self._ml = MLCommons(client, worker_url)
        self._index = index
        self._names = PartNames(index)
        self._worker_url = worker_url  # for messages

    async def install(self, plan: NativePlan) -> Installed:
        services = [(RERANK, self._names.rerank), *([(EMBEDDING, self._names.embedding)] if plan.embeddings else [])]
        # all connectors before any model: the change of one may need the model of the other undeployed
        connectors = [await self._install_connector(plan, service, name) for service, name in services]
        if not plan.embeddings:
            for model_id in self._ml.undeployed:  # of an installation that had them
                await self._ml.deploy(model_id)
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
            connectors, models = await self._ml.find(CONNECTORS, name), await self._ml.find(MODELS, name)
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
                await self._ml.ask("DELETE", f"{path}/{quote(name, safe='')}")
                removed.append(Part(kind, name, REMOVED, name))
        names = (self._names.rerank, self._names.embedding)
        # All models before any connector. ML Commons finds a connector's models by the words of its id, cut at "-", and
        # where the ids of a node have a word in common it takes the model of one for that of another.
        for name in names:
            for model in await self._ml.find(MODELS, name):
                await self._ml.remove_model(model.id)
                removed.append(Part("model", name, REMOVED, model.id))
        kept: dict[str, ClusterError] = {}
        for name in names:
            for group in await self._ml.find(GROUPS, name):  # which ML Commons made for the model
                await self._ml.ask_when_free("DELETE", f"{GROUPS}/{group.id}")
                removed.append(Part("model group", name, REMOVED, group.id))
            for connector in await self._ml.find(CONNECTORS, name):
                try:
                    await self._ml.ask_when_free("DELETE", f"{CONNECTORS}/{connector.id}")
                    removed.append(Part("connector", name, REMOVED, connector.id))
                except ClusterError as error:
                    if not read_users(error):
                        raise
                    kept[connector.id] = error
        if kept:
            raise explain_kept(kept)
        return removed

    async def _install_connector(self, plan: NativePlan, service: ModelService, name: str) -> Part:
        found = next(iter(await self._ml.find(CONNECTORS, name)), None)
        if found is None:
            body = build_connector(plan, service, name=name, digest=digest_key(plan.api_key))
            reply = await self._ml.ask("POST", f"{CONNECTORS}/_create", body)
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
        ours = {model.id: model_name for model_name in names for model in await self._ml.find(MODELS, model_name)}
        models = [model_id for model_id, model_name in ours.items() if model_name == name]
        try:
            await self._ml.ask_when_free("PUT", f"{CONNECTORS}/{connector_id}", body, models=models, others=ours)
        except ClusterError as error:
            raise explain_other_users(error, connector_id, ours) from error

    async def _install_model(self, plan: NativePlan, name: str, connector: Part) -> Part:
        found = next(iter(await self._ml.find(MODELS, name)), None)
        if found and found.body.get("connector_id") != connector.id:
            await self._ml.remove_model(found.id)
            found = None
        if found is None:
            body = build_model(plan, name=name, connector_id=connector.id)
            reply = await self._ml.ask("POST", f"{MODELS}/_register", body)
            await self._ml.deploy(reply["model_id"])
            return Part("model", name, MADE, reply["model_id"], DEPLOYED.lower())
        part = Part("model", name, UNCHANGED, found.id, DEPLOYED.lower())
        if connector.state == UNCHANGED and await self._ml.state(found.id) == DEPLOYED:
            return part
        await self._ml.deploy(found.id)
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
        await self._ml.ask("PUT", f"{path}/{quote(name, safe='')}", body)
        return MADE if found is None else CHANGED

    async def _try(self, plan: NativePlan, service: ModelService, model_id: str) -> None:
        """Call the worker through the engine. Raises ClusterError, SettingsError for vectors that do not fit the
        index."""
        try:
            reply = await self._ml.send("POST", f"{MODELS}/{model_id}/_predict", {"parameters": dict(service.trial)})
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

    async def _pipeline(self, path: str, name: str) -> JSON | None:
        """A pipeline of ours; None where it is not there. Raises SettingsError for one that somebody else made."""
        try:
            reply = await self._ml.send("GET", f"{path}/{quote(name, safe='')}")
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
            reply = await self._ml.send(
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
            return count_reranked(await self._ml.ask("GET", "/_nodes/stats/search_pipeline"), self._names.search)
        except AccessDenied:
            return ""

    def _pipelines(self) -> list[tuple[str, str, str]]:
        return [
            ("search pipeline", SEARCH, self._names.search),
            ("ingest pipeline", INGEST, self._names.ingest),
        ]


def _shown(name: str, model: FoundPart) -> Part:
    state = str(model.body.get("model_state", ""))
    detail = "connector native install deploys it" if state in NOT_DEPLOYED else ""
    return Part("model", name, state.lower(), model.id, detail)
