"""The gateway on secured engines: every request is the caller's own, and what a caller may not see stays hidden."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from support.gateway.running_gateway import ENCODER, JSON, answering_gateway
from support.indices.scratch import unique_name
from support.indices.secured import Secured

from connector.settings.sections import ClusterSettings, Settings

pytestmark = pytest.mark.live

DIMS = 16
WINDOW = 30
SEARCH: JSON = {"query": {"match": {"title": "refunds of sensors"}}, "size": 100, "track_total_hits": True}


@dataclass(frozen=True)
class Place:
    """An index of two departments; a gateway in front of it; and two users who may each see one of them."""

    index: str
    secured: Secured
    users: dict[str, ClusterSettings]
    through: httpx.Client

    def ask(self, user: ClusterSettings | None, body: JSON = SEARCH) -> httpx.Response:
        return self.through.post(f"/{self.index}/_search", json=body, auth=basic(user) if user else None)


def basic(user: ClusterSettings) -> tuple[str, str]:
    assert user.username
    assert user.password
    return user.username, user.password.get_secret_value()


@pytest.fixture(scope="module")
def place(secured: Secured) -> Iterator[Place]:
    index = unique_name()
    vector: JSON = {"type": "dense_vector", "dims": DIMS, "similarity": "cosine"}
    if secured.kind == "opensearch":
        method = {"name": "hnsw", "engine": "lucene"}
        vector = {"type": "knn_vector", "dimension": DIMS, "space_type": "cosinesimil", "method": method}
    knn = {"knn": True} if secured.kind == "opensearch" else {}
    fields = {"title": {"type": "text"}, "department": {"type": "keyword"}, "vector": vector}
    secured.call("PUT", f"/{index}", {"settings": {"index": knn}, "mappings": {"properties": fields}})
    for number in range(60):
        department, title = ("board", "legal")[number % 3 == 0], f"refunds of sensors, rule {number}"
        document = {"title": title, "department": department, "vector": ENCODER.encode_query(title).tolist()}
        secured.call("PUT", f"/{index}/_doc/{number}{'?refresh=true' if number == 59 else ''}", document)
    users = {"legal": secured.add_user(f"{index}-legal", secured.role("caller", index))}
    board = json.loads(json.dumps(secured.role("caller", index)).replace("legal", "board"))
    users["board"] = secured.add_user(f"{index}-board", board)
    settings = Settings.model_validate(
        {
            "cluster": secured.superuser.model_dump(),
            "gateway": {"indexes": {index: {"fields": {"title": 1}, "vector_field": "vector", "window": WINDOW}}},
            "search": {"deadline_s": 120, "rerank": "off"},
        }
    )
    with answering_gateway(settings, ENCODER) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield Place(index, secured, users, client)
    secured.call("DELETE", f"/{index}")


def test_a_caller_sees_own_documents_only_on_every_leg_and_page(place: Place) -> None:
    for department, count in {"legal": 20, "board": 40}.items():
        reply = place.ask(place.users[department])
        hits = reply.json()["hits"]

        assert reply.headers["x-rerank"].startswith("reranked;window="), reply.text
        assert {hit["_source"]["department"] for hit in hits["hits"]} == {department}
        assert hits["total"]["value"] == len(hits["hits"]) == count


def test_what_the_engine_does_not_compress_is_sent_plain(place: Place) -> None:
    """Elasticsearch compresses nothing where it speaks TLS."""
    board = place.users["board"]
    direct = httpx.post(
        f"{place.secured.superuser.url}/{place.index}/_search",
        json=SEARCH,
        auth=basic(board),
        verify=ssl.create_default_context(cafile=place.secured.superuser.ca_cert),
    )
    through = place.ask(board)

    assert "gzip" in through.request.headers["accept-encoding"]
    assert through.headers.get("content-encoding") == direct.headers.get("content-encoding")


def test_so_does_one_of_several_searches_and_what_only_the_dense_leg_finds(place: Place) -> None:
    """Rule 20 is the board's: nobody of the legal department finds it by its number, nor what is near to it."""
    beside = {"query": {"match": {"title": "20"}}, "size": 100}
    several = "".join(f'{{"index":"{place.index}"}}\n{json.dumps(body)}\n' for body in (SEARCH, beside))
    for department, count in {"legal": 20, "board": 40}.items():
        user = place.users[department]
        together = place.through.post(
            "/_msearch",
            content=several,
            headers={"content-type": "application/x-ndjson", "X-Rerank": "union"},
            auth=basic(user),
        )
        alone = place.ask(user, beside).json()
        found = [reply["hits"] for reply in (*together.json()["responses"], alone)]

        assert together.headers["x-rerank"] == "reranked;searches=2;of=2"
        assert {hit["_source"]["department"] for hits in found for hit in hits["hits"]} == {department}
        assert [hits["total"]["value"] for hits in found] == [count, min(count, WINDOW), min(count, WINDOW)]


def test_a_remembered_order_serves_nobody_else(place: Place) -> None:
    place.ask(place.users["board"], SEARCH | {"size": 5})
    page = place.ask(place.users["legal"], SEARCH | {"size": 5, "from": 5}).json()["hits"]["hits"]

    assert {hit["_source"]["department"] for hit in page} == {"legal"}


def test_who_brings_no_or_wrong_credentials_gets_the_engines_own_refusal(place: Place) -> None:
    """And never the rights of the gateway, whose own settings hold a superuser's."""
    context = ssl.create_default_context(cafile=place.secured.superuser.ca_cert)
    wrong = ("nobody", "wrong")
    for auth in (None, wrong):
        direct = httpx.post(
            f"{place.secured.superuser.url}/{place.index}/_search", json=SEARCH, auth=auth, verify=context
        )
        through = place.through.post(f"/{place.index}/_search", json=SEARCH, auth=auth)

        assert through.status_code == direct.status_code == 401
        assert through.headers.get("www-authenticate") == direct.headers.get("www-authenticate")
        assert through.content == direct.content
