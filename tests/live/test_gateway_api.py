"""The gateway's API on real engines: the library's answers over HTTP, to whoever may see them."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from support.gateway.gateway_api import open_with_hashes, running_api
from support.gateway.running_gateway import JSON, filled_shop
from support.indices.scratch import engine_client, unique_name
from support.indices.secured import Secured
from support.parts import wait_until

from connector.search.as_json import response_as_json
from connector.settings.sections import ClusterSettings, Settings

pytestmark = pytest.mark.live


def settings_of(engine: ClusterSettings, name: str, fields: dict[str, float]) -> Settings:
    return Settings.model_validate(
        {
            "cluster": engine.model_dump(),
            "index": {"name": name, "text_fields": fields, "vector_field": "vector"},
            "search": {"deadline_s": 120, "rerank": "off"},
        }
    )


async def test_an_answer_over_http_is_that_of_the_library(
    engine: ClusterSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.gateway.api.health.CHECK_S", 60.0)
    with filled_shop(engine) as name:
        settings = settings_of(engine, name, {"title": 2, "text": 1})
        asked: JSON = {
            "query": "red sofa", "k": 20, "total": True, "highlight": ["title"], "source": ["title", "brand"],
            "filter": {"range": {"price": {"gte": 10}}}, "aggs": {"brands": {"terms": {"field": "brand"}}},
        }  # fmt: skip
        async with await open_with_hashes(settings) as connector:
            expected = json.loads(json.dumps(response_as_json(await connector.search(**asked))))
        with running_api(settings) as api:
            reply = api.post("/v1/search", json=asked)
            broken = api.post("/v1/search", json=asked | {"aggs": {"a": {"nothing": {}}}})
            health = api.get("/v1/health").json()

    answer = reply.json()
    del answer["query_id"], answer["took_ms"], expected["took_ms"]
    assert answer == expected
    assert len(answer["hits"]) == 20
    assert answer["aggregations"]["brands"]["buckets"]
    assert broken.status_code in (200, 400), broken.text
    assert broken.status_code == 400 or broken.json()["degraded"]
    assert health["status"] == "ready"


def test_a_caller_sees_what_the_engine_shows_them(secured: Secured) -> None:
    index = unique_name()
    vector: JSON = {"type": "dense_vector", "dims": 16, "similarity": "cosine"}
    if secured.kind == "opensearch":
        method = {"name": "hnsw", "engine": "lucene"}
        vector = {"type": "knn_vector", "dimension": 16, "space_type": "cosinesimil", "method": method}
    knn = {"knn": True} if secured.kind == "opensearch" else {}
    fields = {"title": {"type": "text"}, "department": {"type": "keyword"}, "vector": vector}
    secured.call("PUT", f"/{index}", {"settings": {"index": knn}, "mappings": {"properties": fields}})
    for department in ("legal", "board"):
        document = {"title": "refunds", "department": department, "vector": [1.0] + [0.0] * 15}
        secured.call("PUT", f"/{index}/_doc/{department}?refresh=true", document)
    user = secured.add_user(f"{index}-legal", secured.role("caller", index))
    assert user.username
    assert user.password
    with running_api(settings_of(secured.superuser, index, {"title": 1})) as api:
        seen = api.post("/v1/search", json={"query": "refunds"}, auth=(user.username, user.password.get_secret_value()))
        unknown = api.post("/v1/search", json={"query": "refunds"}, auth=("nobody", "x"))
        nobody = api.post("/v1/search", json={"query": "refunds"})
        page = api.get("/ui/?q=refunds", auth=(user.username, user.password.get_secret_value()))
        locked = api.get("/ui/?q=refunds")
        listed = compare_on_a_list(api, (user.username, user.password.get_secret_value()))
    secured.call("DELETE", f"/{index}")

    assert [hit["doc_id"] for hit in seen.json()["hits"]] == ["legal"], seen.text
    assert (unknown.status_code, nobody.status_code) == (401, 401)
    assert "www-authenticate" in unknown.headers
    assert (page.status_code, locked.status_code) == (200, 401), page.text
    assert ('data-doc="legal"' in page.text, "board" in page.text) == (True, False)
    assert listed == {"caller": 200, "another": 404, "nobody": 401, "stop": 404, "kept": ["1 of 1"], "shown": [1, 0]}
    assert locked.headers["www-authenticate"].startswith("Basic")  # so that a browser asks for name and password


def compare_on_a_list(api: httpx.Client, caller: tuple[str, str]) -> dict[str, object]:
    """Who sees what of a run that the caller began: their own documents, and nobody else anything."""
    origin = {"origin": str(api.base_url).rstrip("/")}
    form = {"a": "as set", "b": "no rerank", "queries": "refunds"}
    begun = api.post("/ui/lists", data=form, files={"file": ("", b"")}, headers=origin, auth=caller)
    address, another = f"/ui/{begun.headers['location']}", ("somebody", "x")
    wait_until(lambda: 'data-state="done"' in api.get(address, auth=caller).text)
    looks = {"caller": api.get(address, auth=caller), "another": api.get(address, auth=another)}
    looks |= {"nobody": api.get(address)}
    looks["stop"] = api.post(address.replace("/list?", "/stop?"), headers=origin, auth=another)
    forms = [api.get("/ui/lists", auth=login).text.count("no rerank to as set") for login in (caller, another)]
    statuses = {name: look.status_code for name, look in looks.items()}
    return statuses | {"kept": re.findall(r"<td>(\d of \d)</td>", looks["caller"].text), "shown": forms}


def test_events_are_kept_in_indexes_of_the_cluster(engine: ClusterSettings) -> None:
    name = unique_name()
    with filled_shop(engine) as shop, engine_client(engine) as cluster:
        settings = settings_of(engine, shop, {"title": 2, "text": 1})
        gateway = settings.gateway.model_copy(update={"events_index": name})
        with running_api(settings.model_copy(update={"gateway": gateway})) as api:
            answer = api.post("/v1/search", json={"query": "red sofa", "k": 3}).json()
            doc_ids = [hit["doc_id"] for hit in answer["hits"]]
            attributes = {"object": {"object_id": doc_ids[1]}, "position": {"ordinal": 2}}
            event = {"action_name": "click", "query_id": answer["query_id"], "event_attributes": attributes}
            broken = event | {"timestamp": "20260131T120000"}  # ISO 8601 too, which the engines' mapping does not read
            assert api.post("/v1/events", json=[event, broken]).status_code == 202
            wait_until(lambda: 'outcome="refused by the engine"' in api.get("/metrics").text)
        cluster.post(f"/{name}_*/_refresh")
        queries = cluster.post(f"/{name}_queries/_search", json={"query": {"match": {"user_query": "sofa"}}}).json()
        object_id = {"term": {"event_attributes.object.object_id": doc_ids[1]}}
        events = cluster.post(f"/{name}_events/_search", json={"query": object_id}).json()
        for kind in ("queries", "events"):
            cluster.delete(f"/{name}_{kind}").raise_for_status()

    assert [hit["_source"]["query_response_hit_ids"] for hit in queries["hits"]["hits"]] == [doc_ids]
    assert [hit["_source"]["query_id"] for hit in events["hits"]["hits"]] == [answer["query_id"]]
