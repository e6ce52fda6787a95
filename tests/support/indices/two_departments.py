"""An index of two departments on a secured engine: twenty documents of the legal department stand among 160 of the
board that match as well or better; a caller may see those of one. And the searches in it, watched."""

from __future__ import annotations

import contextlib
import json
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from support.indices.scratch import write_documents
from support.indices.secured import Secured
from support.servers.proxy import Fault, Proxy, Seen

from connector.client import Connector
from connector.clusters.connect import connect
from connector.credentials import Credentials
from connector.models.encoder import Encoder
from connector.remote.process import WorkerProcess
from connector.rerankers.worker import WorkerClient
from connector.schema import Fields
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings
from connector.types import Document, SearchResponse
from connector.wiring import build_searcher

OWN, FOREIGN = "legal", "board"
MARKS = {OWN: "orchid", FOREIGN: "basilisk"}
COUNTS = {OWN: 20, FOREIGN: 160}
FIELDS = Fields(text={"title": 1.0, "text": 1.0}, metadata={"department": "keyword", "week": "integer"})
QUERY = "how are refunds of sensors paid"


@dataclass(frozen=True)
class Place:
    """An index of both departments on a secured engine; the service that searches it; and its callers."""

    engine: Secured
    index: str
    service: ClusterSettings
    callers: dict[str, ClusterSettings]

    def caller(self, department: str) -> Credentials:
        return credentials_of(self.callers[department])


def credentials_of(user: ClusterSettings) -> Credentials:
    assert user.username
    assert user.password
    return Credentials.basic(user.username, user.password.get_secret_value())


def make_documents() -> list[Document]:
    """The same texts in both departments, but for a word that tells them apart."""
    return [
        Document(
            f"{department}-{at}",
            {
                "title": f"Refunds, rule {at} {MARKS[department]}",
                "text": f"Refunds of sensors are paid within {at + 3} days. "
                f"They are paid by the {MARKS[department]} desk.",
                "department": department,
                "week": at,
            },
        )
        for department, count in COUNTS.items()
        for at in range(count)
    ]


async def fill(superuser: ClusterSettings, name: str, encoder: Encoder) -> None:
    await write_documents(superuser, name, make_documents(), FIELDS, encoder)


@dataclass(frozen=True)
class Watched:
    """A connector, and everything that it sent to the engine and to the worker."""

    connector: Connector
    to_engine: Proxy
    to_worker: Proxy

    @property
    def texts(self) -> list[str]:
        """The texts that the worker was given."""
        return [text for seen in self.to_worker.seen if seen.body for text in json.loads(seen.body)["texts"]]

    @property
    def principals(self) -> set[str]:
        """The Authorization headers that the engine was sent."""
        return {seen.headers.get("authorization", "") for seen in self.to_engine.seen}

    async def search(self, caller: Credentials | None, query: str = QUERY, **options: Any) -> SearchResponse:
        return await self.connector.search(query, credentials=caller, **options)


@asynccontextmanager
async def watching(
    place: Place, encoder: Encoder, worker: WorkerProcess, *faults: str, **overrides: Any
) -> AsyncIterator[Watched]:
    """The service, whose connections go through recording proxies; the named calls to the engine are cut."""

    def fault(seen: Seen) -> Fault | None:
        return "reset" if call_of(seen) in faults else None

    limits = {"search.deadline_s": 600.0, "search.depth": 100, "search.rerank": {"window": 60}, "search.k": 20}
    async with contextlib.AsyncExitStack() as stack:
        ca_cert = place.engine.superuser.ca_cert
        to_engine = await stack.enter_async_context(Proxy(place.service.url, ca_cert=ca_cert))
        to_worker = await stack.enter_async_context(Proxy(worker.url))
        settings = load_settings(environ={}, overrides=limits | overrides)
        cluster = await connect(place.service.model_copy(update={"url": to_engine.url}))
        client = WorkerClient(to_worker.url)
        searcher = build_searcher(await cluster.open_index(place.index), encoder, {"local": client}, settings)
        connector = await stack.enter_async_context(Connector(searcher, cluster, [client]))
        to_engine.seen.clear()
        to_engine.fault = fault
        yield Watched(connector, to_engine, to_worker)


def call_of(seen: Seen) -> str:
    """Which part of a search a request to an engine comes from."""
    if not seen.is_search:
        return ""
    parts = {b'"ids"': "fields", b'"aggs"': "term_weights", b'"multi_match"': "lexical"}
    return next((name for part, name in parts.items() if part in seen.body), "dense")


def assert_nothing_foreign(response: SearchResponse, texts: list[str], department: str = OWN) -> None:
    """Nothing of the other department stands anywhere in the response, or in what the worker was given."""
    (other,) = set(COUNTS) - {department}
    pickled = pickle.dumps(response)  # all that it holds, sooner than as JSON

    assert all(hit.doc_id.startswith(department) for hit in response.hits)
    assert MARKS[department].encode() in pickled or not response.hits
    assert MARKS[other].encode() not in pickled
    assert f"{other}-".encode() not in pickled
    assert not any(MARKS[other] in text for text in texts)
