"""An installation in Elasticsearch, on a stand-in: its minimal server has no inference API.

The stand-in takes what the documented schemas of `hugging_face` and `openai` allow and nothing else, tries a rerank
endpoint as Elasticsearch does when it is made, and answers as the documentation shows. The worker that it calls is
real."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from pydantic import SecretStr
from support.indices.schemas import MADE
from support.parts import OverlapScorer, serving, wait_until

from connector.clusters.elasticsearch_client import ElasticsearchClient
from connector.errors import ClusterError, SettingsError
from connector.native.elasticsearch import ElasticsearchNative
from connector.native.elasticsearch_bodies import build_example
from connector.native.plan import NativePlan, Part
from connector.native.planning import build_plan
from connector.schema import EncoderFingerprint, Fields, IndexSchema
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, WorkerSettings
from connector.worker.app import create_app

SCHEMA = IndexSchema(Fields({"title": 2.0, "text": 1.0}), EncoderFingerprint("mini", "abc", 3, 64), **MADE, dims=3)
KEY = "sesame"
SETTINGS = {  # of a service: those that it needs, and those that it takes besides
    ("rerank", "hugging_face"): ({"api_key", "url"}, {"rate_limit"}),
    ("text_embedding", "openai"): (
        {"api_key", "model_id"},
        {"dimensions", "max_input_tokens", "organization_id", "rate_limit", "similarity", "url"},
    ),
}


class InferenceApi:
    """`/_inference/TASK/ID` of Elasticsearch. `refusal`, where given, is what everything is answered with."""

    def __init__(self, refusal: tuple[int, str] | None = None) -> None:
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.changes: list[str] = []
        self._refusal = refusal

    async def answer(self, request: web.Request) -> web.Response:
        if self._refusal:
            return _error(*self._refusal)
        task, name = request.match_info["task"], request.match_info["name"]
        if request.method == "PUT":
            return await self._put(task, name, await request.json())
        if name not in self.endpoints:
            return _error(404, f"Inference endpoint not found [{name}]")
        if request.method == "GET":
            return _reply({"endpoints": [_without_key(self.endpoints[name])]})
        self.changes.append(f"DELETE {name}")
        del self.endpoints[name]
        return _reply({"acknowledged": True})

    async def _put(self, task: str, name: str, body: dict[str, Any]) -> web.Response:
        if name in self.endpoints:
            return _error(400, f"Inference endpoint [{name}] already exists")
        service, settings = body.pop("service"), body.pop("service_settings")
        needed, taken = SETTINGS[task, service]
        if body or not needed <= set(settings) <= needed | taken:
            return _error(400, f"unknown or missing settings: {sorted(body)} {sorted(settings)}")
        if task == "rerank" and not await _ranks(settings):
            return _error(
                400, "Could not complete inference endpoint creation as validation call to service threw an exception."
            )
        self.endpoints[name] = {
            "inference_id": name,
            "task_type": task,
            "service": service,
            "service_settings": settings,
        }
        self.changes.append(f"PUT {name}")
        return _reply(_without_key(self.endpoints[name]))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/_inference/{task}/{name}", self.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def _ranks(settings: dict[str, Any]) -> bool:
    """Whether what answers at the address answers as Elasticsearch's parser wants it: an array of these keys alone."""
    body = {"texts": ["how big"], "query": "test"}
    headers = {"authorization": f"Bearer {settings['api_key']}"}
    async with httpx.AsyncClient() as client:
        try:
            reply = await client.post(settings["url"], json=body, headers=headers)
        except httpx.HTTPError:
            return False
    items = reply.json()
    return isinstance(items, list) and all(set(item) <= {"index", "score", "relevance_score", "text"} for item in items)


def _without_key(endpoint: dict[str, Any]) -> dict[str, Any]:
    shown_settings = {name: value for name, value in endpoint["service_settings"].items() if name != "api_key"}
    return endpoint | {"service_settings": shown_settings | {"rate_limit": {"requests_per_minute": 3000}}}


def _reply(body: Any, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers={"X-Elastic-Product": "Elasticsearch"})


def _error(status: int, reason: str) -> web.Response:
    return _reply({"error": {"type": "exception", "reason": reason}, "status": status}, status)


@pytest.fixture(scope="module")
def worker_url() -> Iterator[str]:
    """A worker that asks for a key."""
    settings = WorkerSettings(api_keys=SecretStr(KEY))
    with serving(create_app(OverlapScorer, settings)) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        yield url


@asynccontextmanager
async def native_at(api: InferenceApi, worker_url: str = "http://127.0.0.1:1") -> AsyncIterator[ElasticsearchNative]:
    async with api.listening() as url:
        client = ElasticsearchClient(ClusterSettings(url=url))
        try:
            yield ElasticsearchNative(client, "kb", worker_url)
        finally:
            await client.close()


def plan_for(worker_url: str, key: str = KEY, **overrides: Any) -> NativePlan:
    given = {"index.name": "kb", "rerankers.local.url": worker_url} | overrides
    return build_plan(load_settings(environ={"CONNECTOR_RERANKERS_LOCAL_API_KEY": key}, overrides=given), SCHEMA)


def states(parts: list[Part] | Any) -> dict[str, str]:
    return {part.name: part.state for part in parts}


async def test_the_worker_is_registered_for_both_tasks(worker_url: str) -> None:
    api = InferenceApi()
    async with native_at(api) as native:
        installed = await native.install(plan_for(worker_url))

    rerank, embedding = api.endpoints["connector-kb-rerank"], api.endpoints["connector-kb-embedding"]
    assert states(installed.parts) == {"connector-kb-rerank": "made", "connector-kb-embedding": "made"}
    assert rerank["service_settings"] == {"url": f"{worker_url}/rerank", "api_key": KEY}
    assert embedding["service_settings"]["url"] == f"{worker_url}/v1/embeddings"
    assert embedding["service_settings"]["model_id"] == "all-MiniLM-L6-v2"


async def test_a_second_installation_changes_nothing(worker_url: str) -> None:
    api = InferenceApi()
    async with native_at(api) as native:
        await native.install(plan_for(worker_url))
        before = list(api.changes)
        installed = await native.install(plan_for(worker_url))

    assert set(states(installed.parts).values()) == {"unchanged"}
    assert api.changes == before


async def test_an_endpoint_of_another_address_is_made_anew(worker_url: str) -> None:
    api = InferenceApi()
    async with native_at(api) as native:
        await native.install(plan_for(worker_url))
        installed = await native.install(plan_for(worker_url.replace("127.0.0.1", "localhost")))

    assert set(states(installed.parts).values()) == {"changed"}
    assert api.endpoints["connector-kb-rerank"]["service_settings"]["url"].startswith("http://localhost:")


async def test_only_ours_are_shown_and_removed(worker_url: str) -> None:
    api = InferenceApi()
    async with native_at(api) as native:
        await native.install(plan_for(worker_url, **{"native.embeddings": False}))
        api.endpoints["another"] = {"service": "hugging_face", "service_settings": {"url": "http://x/rerank"}}
        parts = await native.show()
        removed = await native.remove()
        again = await native.remove()

    assert states(parts) == {"connector-kb-rerank": "there", "connector-kb-embedding": "not there"}
    assert states(removed) == {"connector-kb-rerank": "removed"}
    assert again == []
    assert set(api.endpoints) == {"another"}


async def test_an_endpoint_of_our_name_that_somebody_else_made_is_left_alone(worker_url: str) -> None:
    api = InferenceApi()
    theirs = {"service": "cohere", "service_settings": {"model_id": "rerank-v3.5"}}
    api.endpoints["connector-kb-rerank"] = theirs
    async with native_at(api) as native:
        for act in (native.install(plan_for(worker_url)), native.remove()):
            with pytest.raises(SettingsError, match="connector-kb-rerank was not made by connector native install"):
                await act

    assert api.endpoints == {"connector-kb-rerank": theirs}


async def test_a_worker_out_of_reach_is_told_with_what_to_do() -> None:
    async with native_at(InferenceApi()) as native:
        with pytest.raises(ClusterError, match=r"the cluster itself calls http://127.0.0.1:1: .*--worker-url"):
            await native.install(plan_for("http://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((403, "current license is non-compliant for [inference]"), "Enterprise licence, or a trial of 30 days"),
        ((400, "no handler found for uri [/_inference/rerank/x] and method [GET]"), "has no inference API"),
        ((403, "action [x] is unauthorized for user [ann]"), "manage_inference"),
    ],
)
async def test_a_refusal_says_what_to_do(refusal: tuple[int, str], words: str) -> None:
    async with native_at(InferenceApi(refusal)) as native:
        for act in (native.show(), native.install(plan_for("http://127.0.0.1:1"))):
            with pytest.raises(ClusterError) as caught:
                await act
            assert words in str(caught.value)


def test_the_example_fuses_both_legs_and_reranks_the_last_text_field() -> None:
    example = build_example(plan_for("http://w:1", **{"search.k": 5, "search.rerank": {"window": 30}}))
    reranker = example.body["retriever"]["text_similarity_reranker"]
    legs = reranker["retriever"]["rrf"]["retrievers"]

    assert example.request == "POST /kb/_search"
    assert (example.body["size"], reranker["rank_window_size"]) == (5, 30)
    assert (reranker["field"], reranker["inference_id"]) == ("text", "connector-kb-rerank")
    assert [next(iter(leg)) for leg in legs] == ["standard", "knn"]
    assert legs[1]["knn"]["query_vector_builder"]["text_embedding"]["model_id"] == "connector-kb-embedding"
    assert json.dumps(example.body)


@pytest.mark.parametrize(("depth", "candidates"), [(20, 100), (80, 160), (5_000, 10_000), (10_000, 10_000)])
def test_the_examples_dense_leg_looks_at_no_more_candidates_than_the_engine_takes(depth: int, candidates: int) -> None:
    example = build_example(plan_for("http://w:1", **{"search.depth": depth}))
    legs = example.body["retriever"]["text_similarity_reranker"]["retriever"]["rrf"]["retrievers"]

    assert (legs[1]["knn"]["k"], legs[1]["knn"]["num_candidates"]) == (depth, candidates)


def test_without_embeddings_the_example_reranks_the_lexical_leg() -> None:
    example = build_example(plan_for("http://w:1", **{"native.embeddings": False, "native.field": "title"}))
    reranker = example.body["retriever"]["text_similarity_reranker"]

    assert set(reranker["retriever"]) == {"standard"}
    assert reranker["field"] == "title"
