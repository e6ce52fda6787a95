"""What jobs on Ray are given, and what is in an index when they have ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from connector.backfill.fields import BackfillPlan
from connector.backfill.planning.plan import BackfillWish
from connector.backfill.report import BackfillReport
from connector.backfill.run import fill, preparing
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.ingest.report import JobReport
from connector.settings.sections import ClusterSettings, Settings

COUNT = 240


def write_rows(folder: Path) -> Path:
    """Rows with ids that repeat, far from each other too, a year that is none, and lines that are no JSON."""
    lines = []
    for number in range(COUNT):
        doc_id = str(number % (COUNT - 10))
        year = "never" if number % 83 == 0 else 2000 + number % 20
        lines.append(json.dumps({"_id": doc_id, "title": f"T {number}", "text": "a 7 b " * (number % 9), "year": year,
                                 "unused": number}))  # fmt: skip
        lines += ["{broken"] if number % 97 == 0 else []
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return folder / "rows.jsonl"


@asynccontextmanager
async def engine(settings: ClusterSettings) -> AsyncIterator[RestCluster]:
    cluster = await connect(settings)
    assert isinstance(cluster, RestCluster)
    try:
        yield cluster
    finally:
        await cluster.close()


async def contents(settings: ClusterSettings, index: str) -> dict[str, Any]:
    """What an index of ours holds, by id: the documents' hashes and fields, and all passages with their vectors."""
    async with engine(settings) as cluster:
        opened = await cluster.open_index(index)
        hashes = {doc_id: hashed async for doc_id, hashed in opened.scan()}
        fields = await opened.get([*hashes], fields=None, timeout_s=30.0)
        return {"hashes": hashes, "fields": fields, "sources": await sources(cluster, index)}


async def sources(cluster: RestCluster, index: str) -> dict[str, Any]:
    """Every document as it is kept, with its vectors."""
    await cluster.client.request("POST", f"/{index}/_refresh", timeout_s=60)
    body = {"size": 5_000, "_source": {"exclude_vectors": False}}
    reply = await cluster.client.request("POST", f"/{index}/_search", body=body, timeout_s=60)
    return {hit["_id"]: hit["_source"] for hit in reply["hits"]["hits"]}


def vectors_of(found: dict[str, Any]) -> list[list[float]]:
    """All lists of numbers in sources."""
    lists = [value for value in found.values() if isinstance(value, list)]
    dicts = [value for value in found.values() if isinstance(value, dict)]
    dicts += [inner for value in lists for inner in value if isinstance(inner, dict)]
    own = [value for value in lists if value and all(isinstance(number, float | int) for number in value)]
    return own + [vector for inner in dicts for vector in vectors_of(inner)]


async def fill_index(given: Settings, rejects: Path) -> tuple[BackfillReport, BackfillPlan]:
    async with preparing(given, BackfillWish({"title": 1.0, "text": 1.0})) as prepared:
        (report,) = await fill(prepared, rejects=rejects)
        return report, prepared.plans[0]


async def make_index(cluster: RestCluster, name: str) -> None:
    """An index of somebody else with three shards, in which each tenth document has no text."""
    texts = {"title": {"type": "text"}, "text": {"type": "text"}}
    body = {"settings": {"number_of_shards": 3, "number_of_replicas": 0}, "mappings": {"properties": texts}}
    await cluster.client.request("PUT", f"/{name}", body=body, timeout_s=60)
    actions = []
    for number in range(COUNT):
        source = {"title": f"T {number}", "text": "a 7 b " * (1 + number % 9)} if number % 10 else {"other": number}
        actions.append(
            b"%b\n%b\n" % (json.dumps({"index": {"_id": str(number)}}).encode(), json.dumps(source).encode())
        )
    await cluster.client.bulk(name, actions, timeout_s=60)
    await cluster.client.request("POST", f"/{name}/_refresh", timeout_s=60)


def account(report: JobReport) -> tuple[Any, ...]:
    """What a report says of the rows, whatever had to be tried again."""
    counts = replace(report.counts, progress=1.0, retried=0)
    return counts, report.unused, report.notes, report.stopped, report.kept_missing


def assert_one_account(alone: JobReport, together: JobReport, rejects: Path) -> None:
    """A job on Ray says of each document what one process says of it; what it had to write twice counts as unchanged.
    `rejects` is the folder of both files of rejects."""
    counts = replace(together.counts, written=alone.counts.written, unchanged=0, passages=alone.counts.passages)

    assert together.counts.written + together.counts.unchanged == alone.counts.written > COUNT // 2
    assert account(replace(together, counts=counts)) == account(alone)
    assert sorted((rejects / "together").read_text().splitlines()) == sorted(
        (rejects / "alone").read_text().splitlines()
    )
