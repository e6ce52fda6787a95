"""Pages on secured engines: with the roles of examples/security, and as a caller who may not see all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from support.indices.schemas import MADE
from support.indices.scratch import drop, unique_name
from support.indices.secured import Secured
from support.parts import HashEncoder

from connector.clusters.connect import connect
from connector.contract.synthetic import DIMS, ENCODER, make_document
from connector.credentials import Credentials
from connector.errors import CursorMismatch
from connector.schema import Fields, IndexSchema
from connector.search.searcher import Searcher
from connector.settings.sections import ClusterSettings, Settings
from connector.types import SearchRequest, SearchResponse

pytestmark = pytest.mark.live

FIELDS = Fields(text={"title": 1.0, "text": 1.0}, metadata={"department": "keyword"})
DEPARTMENTS = ("legal", "board")
SETTINGS = Settings.model_validate({"search": {"k": 9, "depth": 6, "rerank": "off", "deadline_s": 120}})
QUERY = "refunds of sensors"


@dataclass(frozen=True)
class Place:
    """An index of two departments, the service that searches it, and a caller who sees one of them."""

    index: str
    service: ClusterSettings
    caller: Credentials


@pytest.fixture(scope="module")
def place(secured: Secured) -> Iterator[Place]:
    index = unique_name()
    asyncio.run(_fill(secured.superuser, index))
    service = secured.add_user(f"{index}-service", secured.role("search", index))
    user = secured.add_user(f"{index}-legal", secured.role("caller", index))
    assert user.username
    assert user.password
    yield Place(index, service, Credentials.basic(user.username, user.password.get_secret_value()))
    asyncio.run(drop(secured.superuser, index))


async def _fill(superuser: ClusterSettings, name: str) -> None:
    encoder = HashEncoder(DIMS)
    texts = [f"refunds of sensors are paid within {at} days" for at in range(40)]
    documents = [
        make_document(f"{DEPARTMENTS[at % 2]}-{at}", [text], encoder.encode([text]), department=DEPARTMENTS[at % 2])
        for at, text in enumerate(texts)
    ]
    cluster = await connect(superuser)
    try:
        index = await cluster.create_index(name, IndexSchema(FIELDS, ENCODER, **MADE, dims=DIMS))
        await index.write(documents)
        await index.finish()
    finally:
        await cluster.close()


async def read_all(place: Place, caller: Credentials | None) -> list[str]:
    """The ids of all pages."""
    found: list[str] = []
    cursor: Any = True
    while cursor:
        response = await page(place, caller, cursor)
        assert not response.degraded
        found += [hit.doc_id for hit in response.hits]
        cursor = response.cursor
    return found


async def page(place: Place, caller: Credentials | None, cursor: Any) -> SearchResponse:
    cluster = await connect(place.service)
    searcher = Searcher(await cluster.open_index(place.index), HashEncoder(DIMS), {}, SETTINGS)
    try:
        return await searcher.search(SearchRequest(QUERY, cursor=cursor, credentials=caller))
    finally:
        searcher.close()
        await cluster.close()


async def test_a_service_and_a_caller_each_read_all_that_they_may_see(place: Place) -> None:
    everything, own = await read_all(place, None), await read_all(place, place.caller)

    assert len(everything) == len(set(everything)) == 40
    assert len(own) == len(set(own)) == 20
    assert all(doc_id.startswith("legal-") for doc_id in own)


async def test_a_cursor_of_another_caller_is_refused(place: Place) -> None:
    first = await page(place, None, True)

    with pytest.raises(CursorMismatch):
        await page(place, place.caller, first.cursor)
