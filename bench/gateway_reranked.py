"""A reranked search through the gateway against the same one by the library, for bench/gateway.py: on the same index,
with the same worker, in turns.

Both send the same query as the lexical leg, and end in ten hits with their `_source`. Each query is asked once before,
so that the worker knows its passages; no order is remembered by the gateway (`X-Rerank: fresh`)."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from connector import event_loop
from connector.client import Connector
from connector.evaluation.files.datasets import read_collection
from connector.evaluation.statistics.latency import percentile
from connector.ingest.job import run_job
from connector.remote.process import running_worker
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.types import SearchRequest
from connector.wiring import open_cluster

FIELDS = {"title": 1.0, "text": 1.0}
WINDOW, HITS = 50, 10


@contextmanager
def reranked_index(url: str, options: argparse.Namespace) -> Iterator[Settings]:
    """An index of the collection, a worker, and the settings of both ways to them."""
    name = f"{options.index}-reranked"
    with running_worker(own_settings=True) as worker:
        overrides: dict[str, Any] = {"cluster.url": url, "index.name": name, "fields.id": "_id", "fields.text": FIELDS}
        overrides |= {"encoder.url": worker.url, "rerankers": {"local": {"url": worker.url}}}
        overrides |= {"search.deadline_s": 30.0, "gateway.indexes": {name: {"window": WINDOW}}}
        settings = load_settings(overrides=overrides, environ={})
        event_loop.run(run_job(str(options.data), settings))
        try:
            yield settings
        finally:
            event_loop.run(_drop(settings))


def gateway_arguments(settings: Settings) -> list[str]:
    """What a gateway is started with, so that it reranks."""
    given = {
        "rerankers": {name: {"url": reranker.url} for name, reranker in settings.rerankers.items()},
        "search.deadline_s": settings.search.deadline_s,
        "gateway.indexes": {settings.index.name: {"window": WINDOW}},
    }
    objects = [part for path, value in given.items() for part in ("--set", f"{path}={json.dumps(value)}")]
    return ["--set", f"encoder.url={settings.encoder.url}", *objects]


def compare_reranked(settings: Settings, gateway_url: str, options: argparse.Namespace) -> dict[str, float]:
    """p50 of both in milliseconds, and the median of what the gateway took in parts of the library's time."""
    queries = [query.text for query in read_collection(options.data).queries]
    gateway = ReplyOfGateway(gateway_url, settings.index.name)
    return event_loop.run(_compare(settings, queries, gateway, options.reranked))


async def _compare(
    settings: Settings, queries: list[str], ask_gateway: ReplyOfGateway, rounds: int
) -> dict[str, float]:
    by_library: list[float] = []
    through: list[float] = []
    async with await Connector.open(settings) as connector:
        await asyncio.to_thread(ask_gateway.wait)
        for number in range(rounds + 1):
            for query in queries:
                began = time.perf_counter()
                request = SearchRequest(query, k=HITS, depth=WINDOW, lexical=lexical(query))
                response = await connector.searcher.search(request)
                took = time.perf_counter() - began
                if response.degraded:
                    raise SystemExit(f"error: the library's search was degraded: {response.degraded}")
                seconds = await asyncio.to_thread(ask_gateway, query)
                if number:  # the first round warms up
                    by_library.append(took)
                    through.append(seconds)
    ratios = [ours / theirs for ours, theirs in zip(through, by_library, strict=True)]
    return {
        "library_p50_ms": round(percentile(by_library, 0.5) * 1e3, 2),
        "through_p50_ms": round(percentile(through, 0.5) * 1e3, 2),
        "ratio": round(percentile(ratios, 0.5), 3),
        "searches": len(through),
    }


def lexical(query: str) -> dict[str, Any]:
    return {"multi_match": {"query": query, "fields": list(FIELDS), "type": "most_fields"}}


class ReplyOfGateway:
    """Asks one search after the other on one connection, as a client in an application does."""

    def __init__(self, url: str, index: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        self._path = f"/{index}/_search"

    def wait(self) -> None:
        """Until its searches are reranked."""
        for _ in range(600):
            if self._ask("anything").startswith("reranked"):
                return
            time.sleep(0.1)
        raise SystemExit(f"error: the gateway does not rerank: {self._ask('anything')}")

    def __call__(self, query: str) -> float:
        """How long a search took, in seconds."""
        began = time.perf_counter()
        outcome = self._ask(query)
        took = time.perf_counter() - began
        if not outcome.startswith("reranked"):
            raise SystemExit(f"error: the gateway said {outcome}")
        return took

    def _ask(self, query: str) -> str:
        body = json.dumps({"query": lexical(query), "size": HITS})
        headers = {"Content-Type": "application/json", "X-Rerank": "union,fresh"}
        self._connection.request("POST", self._path, body, headers)
        reply = self._connection.getresponse()
        found = json.loads(reply.read())
        if reply.status != 200:
            raise SystemExit(f"error: {found}")
        return reply.headers.get("X-Rerank", "")


async def _drop(settings: Settings) -> None:
    cluster = await open_cluster(settings)
    await cluster.drop_index(settings.index.name)
    await cluster.close()
