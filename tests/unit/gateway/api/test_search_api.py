"""POST /v1/search over HTTP, with the real embedded store and a real worker."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest
from support.gateway.gateway_api import api_settings, fill, fill_with, open_with_hashes, running_api
from support.gateway.gateways import ByteEngine, read_reply
from support.parts import OverlapScorer, serving
from support.worker.worker_app import SETTINGS, wait_ready

from connector import errors
from connector.client import SearchOptions
from connector.errors import (
    AccessDenied,
    ClusterError,
    ClusterUnavailable,
    ConnectorError,
    CursorExpired,
    QueryError,
    SearchFailed,
)
from connector.gateway import lazy_connector
from connector.gateway.api.searching import SearchJson, dumps
from connector.gateway.problems import STATUSES, problem_of, status_of
from connector.search.as_json import response_as_json
from connector.settings.sections import Settings
from connector.worker.app import create_app

JSON_BODY = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def worker() -> Iterator[str]:
    with serving(create_app(OverlapScorer, SETTINGS)) as url:
        yield wait_ready(url)


@pytest.fixture(scope="module")
def settings(store: str, worker: str) -> Settings:
    return api_settings(store, worker=worker, search={"cursor_key": "k" * 40})


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[httpx.Client]:
    with running_api(settings) as client:
        yield client


def test_an_answer_is_that_of_the_library(api: httpx.Client, settings: Settings) -> None:
    asked: dict[str, Any] = {"query": "red fish", "k": 3, "filter": "number>=0", "total": True, "highlight": True}
    reply = api.post("/v1/search", json=asked)

    async def search() -> dict[str, Any]:
        async with await open_with_hashes(settings) as connector:
            return dict(response_as_json(await connector.search(**asked)))

    assert reply.status_code == 200, reply.text
    answer, expected = reply.json(), asyncio.run(search())
    assert len(answer.pop("query_id")) == 32
    assert answer.pop("took_ms").keys() == expected.pop("took_ms").keys()
    assert answer == expected
    assert answer["hits"][0]["doc_id"] == "a"
    assert [stage["ran"] for stage in answer["stages"].values()] == [True]
    assert answer["degraded"] == []


def test_pages_go_on_by_the_cursor(api: httpx.Client) -> None:
    found, cursor = [], True
    while cursor:
        answer = api.post("/v1/search", json={"query": "red fish", "k": 2, "cursor": cursor}).json()
        found += [hit["doc_id"] for hit in answer["hits"]]
        cursor = answer.get("cursor")

    assert sorted(found) == ["a", "b", "c", "d"]


def test_other_indexes_are_searched_where_the_settings_name_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="connector")
    fill(tmp_path)
    fill_with(tmp_path, [("e", {"text": "a red door", "number": 9})], "doors", text={"text": 1.0})
    gateway = {"indexes": {"doors": {}, "cellar": {"mode": "off"}}}
    with running_api(api_settings(f"embedded:{tmp_path}", gateway=gateway)) as api:
        answers = {
            index: api.post("/v1/search", json={"query": "red", "index": index}).json()
            for index in (None, "docs", "doors")
        }
        found = {index: [hit["doc_id"] for hit in answer["hits"]] for index, answer in answers.items()}
        refused = [api.post("/v1/search", json={"query": "red", "index": index}) for index in ("cellar", "", "d*")]
        again = api.post("/v1/search", json={"query": "red", "index": "doors"}).json()

    assert found["doors"] == ["e"]
    assert caplog.text.count("the API searches doors") == 1  # opened once, whoever asks again
    assert len({answer["query_id"] for answer in (*answers.values(), again)}) == 4
    assert found[None] == found["docs"] != found["doors"]
    assert [(reply.status_code, reply.json()["type"].rpartition(":")[2]) for reply in refused] == [
        (404, "index-not-served")
    ] * 3
    assert refused[0].json()["detail"].endswith("but docs, doors; name others in gateway.indexes")


def test_the_api_answers_under_names_of_this_machine_alone(api: httpx.Client, store: str) -> None:
    replies = {
        host: api.post("/v1/search", json={"query": "red"}, headers={"host": host})
        for host in ("localhost:1", "evil.example", "search.example:9281", "127.0.0.1.evil.example", "10.0.0.9")
    }
    with running_api(api_settings(store, gateway={"api_hosts": ["search.example"]})) as named:
        known = named.get("/v1/health/live", headers={"host": "search.example:9281"})
        page = named.get("/ui/", headers={"host": "search.example:9281"})

    assert [reply.status_code for reply in replies.values()] == [200, 421, 421, 421, 421]
    assert "gateway.api_hosts" in replies["evil.example"].json()["detail"]
    assert (known.status_code, page.status_code) == (200, 200)
    assert api.get("/metrics", headers={"host": "evil.example"}).status_code == 421


def test_a_body_has_the_options_of_the_library() -> None:
    assert set(SearchJson.model_fields) == {"index", "query", *get_type_hints(SearchOptions)} - {"credentials"}


@pytest.mark.parametrize(
    ("body", "status", "kind", "words"),
    [
        ({"query": "red", "windw": 3}, 422, "wrong-body", "/windw"),
        ({"query": "red", "k": "3"}, 422, "wrong-body", "/k"),
        ({"query": "red", "a/b~c": "3"}, 422, "wrong-body", "/a~1b~0c"),
        ({"query": " "}, 400, "query-error", "type at least one word"),
        ({"query": "red", "filter": "colour=red"}, 400, "filter-error", "colour"),
        ({"query": "red", "cursor": "c29tZQ"}, 400, "cursor-forged", "give it back as it came"),
        ({"query": "red", "k": 9, "window": 3}, 400, "settings-error", "window"),
    ],
)
def test_a_wrong_request_is_a_problem_that_says_what_to_do(
    api: httpx.Client, body: dict[str, Any], status: int, kind: str, words: str
) -> None:
    reply = api.post("/v1/search", json=body)
    problem = reply.json()

    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert (problem["status"], problem["type"]) == (status, f"urn:hybrid-search-connector:{kind}")
    assert problem["title"]
    assert words in problem["detail"]


@pytest.mark.parametrize("body", [b"{", b'{"query": "\\ud800"}', b'{"deadline_s": NaN}', b"[" * 5_000, b"\xff"])
def test_what_is_no_json_is_refused(api: httpx.Client, body: bytes) -> None:
    reply = api.post("/v1/search", content=body, headers={"content-type": "application/json"})

    assert (reply.status_code, reply.json()["type"]) == (400, "urn:hybrid-search-connector:no-json")


def test_a_body_of_another_kind_is_refused_so_that_no_page_of_a_browser_can_send_it(api: httpx.Client) -> None:
    reply = api.post("/v1/search", content=b'{"query": "red"}', headers={"content-type": "text/plain"})

    assert reply.status_code == 422


def test_a_body_that_is_too_long_is_refused(store: str) -> None:
    with running_api(api_settings(store, gateway={"max_search_bytes": 100})) as api:
        assert api.post("/v1/search", json={"query": "red " * 100}).status_code == 413
        chunks = (b"x" * 60 for _ in range(2))
        assert api.post("/v1/search", content=chunks).json()["detail"] == "send at most 100 bytes"
        whole = json.dumps({"query": "red"}).ljust(100)  # of as many bytes as are allowed
        assert api.post("/v1/search", content=whole, headers=JSON_BODY).status_code == 200
        with socket.create_connection((api.base_url.host, api.base_url.port), timeout=120) as caller:
            caller.sendall(b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 101\r\n\r\n")
            reply = read_reply(caller)  # before any of the body has come
    assert b" 413 " in reply
    assert b"\r\nconnection: close\r\n" in reply.lower()


def test_credentials_of_the_service_are_not_lent_and_the_embedded_store_knows_no_users(api: httpx.Client) -> None:
    known = api.post("/v1/search", json={"query": "red"}, headers={"authorization": "Bearer abc"})
    malformed = api.post("/v1/search", json={"query": "red"}, headers={"authorization": "Bearer"})
    twice = api.post(
        "/v1/search", json={"query": "red"}, headers=[("authorization", "Basic eA=="), ("authorization", "x")]
    )
    assert (twice.status_code, twice.json()["type"]) == (400, "urn:hybrid-search-connector:several-authorizations")
    settings = api_settings("http://127.0.0.1:9", cluster={"url": "http://127.0.0.1:9", "api_key": "secret"})
    with running_api(settings) as other:
        nobody = other.post("/v1/search", json={"query": "red"})
        somebody = other.post("/v1/search", json={"query": "red"}, headers={"authorization": "ApiKey abc"})

    assert (known.status_code, malformed.status_code) == (400, 400)
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"].startswith("Basic")
    assert (somebody.status_code, somebody.json()["type"]) == (503, "urn:hybrid-search-connector:not-open")
    assert "secret" not in nobody.text + somebody.text


def test_a_search_through_the_wrong_door_says_where_the_right_one_is(api: httpx.Client) -> None:
    reply = api.post("/docs/_search", json={"query": {"match_all": {}}})

    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
    assert "connector gateway in front of a cluster" in reply.json()["detail"]
    assert api.get("/v1/search").status_code == 405


def test_the_page_of_the_api_names_every_key_and_loads_nothing(api: httpx.Client) -> None:
    reply = api.get("/v1/docs")

    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert not re.search(r"src=|@import|https?:", reply.text)
    assert [name for name in SearchJson.model_fields if f"<code>{name}</code>" not in reply.text] == []
    assert "<code>query_id</code>" in reply.text
    assert "<code>POST /v1/events</code>" in reply.text


def test_health_names_the_part_that_is_away(api: httpx.Client, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.gateway.api.health.CHECK_S", 120.0)
    whole = api.get("/v1/health")
    with running_api(api_settings(store, worker="http://127.0.0.1:9")) as without_worker:
        partial = without_worker.get("/v1/health")
    with running_api(api_settings("http://127.0.0.1:9")) as without_cluster:
        nothing = without_cluster.get("/v1/health")

    assert (whole.status_code, whole.json()["status"]) == (200, "ready")
    assert (partial.status_code, partial.json()["status"]) == (200, "degraded")
    assert not partial.json()["parts"]["reranker local"]["ready"]
    assert (nothing.status_code, nothing.json()["status"]) == (503, "not ready")
    assert "127.0.0.1:9" in nothing.json()["parts"]["cluster"]["detail"]


def test_an_index_that_is_made_later_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lazy_connector, "AGAIN_S", 0.0)
    settings = api_settings(f"embedded:{tmp_path}")
    with running_api(settings) as api:
        missing = api.post("/v1/search", json={"query": "red"})
        assert (missing.status_code, missing.headers["retry-after"]) == (503, "2")
        assert "connector index create --index docs" in missing.json()["detail"]
        assert api.get("/v1/health").status_code == 503
        assert caplog.text.count("the API cannot search docs yet") == 1  # which was tried more than once
        fill(tmp_path)
        assert api.post("/v1/search", json={"query": "red"}).status_code == 200


def test_what_cannot_be_opened_is_not_tried_with_each_request_and_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lazy_connector, "AGAIN_S", 600.0)
    with ByteEngine(b"HTTP/1.1 500 no\r\ncontent-length: 0\r\n\r\n").running() as engine:
        with running_api(api_settings(engine.url)) as api:
            replies = [api.post("/v1/search", json={"query": "red"}) for _ in range(5)]
            asked = len(engine.seen)

    assert {reply.status_code for reply in replies} == {503}
    assert asked == 1
    assert caplog.text.count("the API cannot search docs yet") == 1


def test_a_fault_of_ours_says_nothing_of_itself(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*given: object) -> None:
        raise RuntimeError("inner words")

    monkeypatch.setattr("connector.gateway.api.searching.response_as_json", broken)
    reply = api.post("/v1/search", json={"query": "red"})

    assert (reply.status_code, reply.json()["type"]) == (500, "urn:hybrid-search-connector:fault")
    assert "inner words" not in reply.text


def test_a_reply_holds_what_the_engines_write_and_says_when_to_come_again() -> None:
    busy = ClusterUnavailable("busy", status=429, retry_after_s=7.4)

    assert json.loads(dumps({"number": 10**30, "half": "\ud800"})) == {"number": 10**30, "half": "\ud800"}
    assert problem_of(busy).headers["retry-after"] == "7"
    assert problem_of(ClusterUnavailable("away")).headers["retry-after"] == "2"


def test_each_error_of_ours_has_a_status_and_the_nearest_one() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ConnectorError)]
    place = {kind: at for at, (kind, _) in enumerate(STATUSES)}

    assert all(any(issubclass(kind, known) for known in place) for kind in kinds)
    assert not [
        (first, second) for first in place for second in place
        if first is not second and issubclass(second, first) and place[first] < place[second]
    ]  # fmt: skip
    assert status_of(CursorExpired(60)) == 410
    assert (status_of(AccessDenied("no", status=401)), status_of(AccessDenied("no", status=403))) == (401, 403)
    assert (status_of(ClusterError("no", status=400)), status_of(ClusterError("no", status=500))) == (400, 502)
    assert (status_of(QueryError("no")), status_of(SearchFailed({}))) == (400, 503)
