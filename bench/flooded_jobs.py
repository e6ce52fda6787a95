"""The jobs that `flood.py` floods: each is begun on an index, runs to its end, and says what it counted."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connector.backfill.beside.filling import BesideJob
from connector.backfill.beside.plan import open_beside, plan_beside
from connector.backfill.fields import put_fields
from connector.backfill.in_place.job import BackfillJob
from connector.backfill.into.copying import IntoJob
from connector.backfill.into.plan import create_new, plan_into
from connector.backfill.keeping_up.follower import IndexFollower
from connector.backfill.keeping_up.state import StateFile
from connector.backfill.pace.throttle import WritePace
from connector.backfill.report import BackfillCounts
from connector.clusters.rest import RestCluster
from connector.ingest.pipeline import IngestJob
from connector.ingest.sources import open_source
from connector.schema import Fields, IndexSchema, PassageSettings
from connector.settings.sections import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.indices.backfills import DIMS, HNSW, WordEncoder, plan_for

TEXT = {"title": 1.0}
ENCODER = WordEncoder()
SETTINGS = Settings()
INGEST = SETTINGS.ingest
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class FloodedJob:
    """What runs, and into which index."""

    cluster: RestCluster
    written_to: str
    run: Callable[[], Awaitable[dict[str, Any]]]

    async def count_passages(self) -> int:
        """How many documents have passages."""
        await self.cluster.client.request("POST", f"/{self.written_to}/_refresh", timeout_s=TIMEOUT_S)
        query = {"nested": {"path": "passages", "query": {"exists": {"field": "passages.text"}}}}
        reply = await self.cluster.client.request(
            "POST", f"/{self.written_to}/_count", body={"query": query}, timeout_s=TIMEOUT_S
        )
        return int(reply["count"])


async def backfill(cluster: RestCluster, index: str, documents: int, folder: Path) -> FloodedJob:
    plan, pace = await plan_for(cluster, index, TEXT), WritePace()
    await put_fields(cluster, plan)
    job = BackfillJob(cluster, plan, ENCODER, INGEST, expected=documents, rejects=folder / "rejects", pace=pace)

    async def run() -> dict[str, Any]:
        report = await job.run()
        counts = report.counts
        counted = account(counts.written, counts.refused + counts.contested, counts.retried, report.stopped)
        return counted | describe_waits(pace)

    return FloodedJob(cluster, index, run)


async def follow(cluster: RestCluster, index: str, documents: int, folder: Path) -> FloodedJob:
    """Followed from nothing: its first round writes all."""
    plan, pace = await plan_for(cluster, index, TEXT), WritePace()
    await put_fields(cluster, plan)
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(counts: BackfillCounts) -> None:
        if counts.found >= documents and not stop.done():
            stop.set_result("all is looked at")

    follower = IndexFollower(
        cluster,
        plan,
        ENCODER,
        INGEST,
        expected=documents,
        rejects=folder / "rejects",
        state=StateFile(folder / "state.json"),
        stop=stop,
        pace=pace,
        every_s=1.0,
        sweep_s=3600,
        on_progress=end,
    )

    async def run() -> dict[str, Any]:
        report = await follower.run()
        counts = report.counts
        counted = account(counts.written, counts.refused + counts.contested, counts.retried, None)
        return counted | describe_waits(pace)

    return FloodedJob(cluster, index, run)


async def into(cluster: RestCluster, index: str, documents: int, folder: Path) -> FloodedJob:
    planned = await plan_into(cluster, index, f"{index}-new", SETTINGS, ENCODER.fingerprint, text=TEXT)
    await create_new(cluster, planned)
    pace = WritePace()
    job = IntoJob(cluster, planned, ENCODER, INGEST, pace=pace)

    async def run() -> dict[str, Any]:
        report = await job.run()
        return account(report.counts.copied, report.counts.failed, 0, report.stopped) | describe_waits(pace)

    return FloodedJob(cluster, planned.new, run)


async def beside(cluster: RestCluster, index: str, documents: int, folder: Path) -> FloodedJob:
    planned = await plan_beside(cluster, index, SETTINGS, ENCODER.fingerprint, text=TEXT, copied=())
    opened, pace = await open_beside(cluster, planned), WritePace()
    job = BesideJob(cluster, opened, ENCODER, INGEST, pace=pace)

    async def run() -> dict[str, Any]:
        report = await job.run()
        return account(report.counts.written, report.counts.failed, 0, report.stopped) | describe_waits(pace)

    return FloodedJob(cluster, planned.name, run)


async def ingest(cluster: RestCluster, index: str, documents: int, folder: Path) -> FloodedJob:
    file, name = folder / "rows.jsonl", f"{index}-ours"
    lines = [json.dumps({"_id": f"d{at}", "title": f"a lamp of brass with a shade {at}"}) for at in range(documents)]
    file.write_text("\n".join(lines))
    schema = IndexSchema(
        Fields(TEXT, {}, id="_id"), ENCODER.fingerprint, "standard", PassageSettings(0, 4), HNSW, dims=DIMS
    )
    made = await cluster.create_index(name, schema)
    job = IngestJob(open_source(str(file)), made, ENCODER, INGEST, rejects=folder / "rejects")

    async def run() -> dict[str, Any]:
        report = await job.run()
        return account(report.counts.written, report.counts.failed, report.counts.retried, report.stopped)

    return FloodedJob(cluster, name, run)


JOBS: dict[str, Callable[[RestCluster, str, int, Path], Awaitable[FloodedJob]]] = {
    start.__name__: start for start in (backfill, follow, into, beside, ingest)
}


def account(written: int, failed: int, retried: int, stopped: str | None) -> dict[str, Any]:
    return {"written": written, "failed": failed, "retried": retried, "stopped": stopped}


def describe_waits(pace: WritePace) -> dict[str, Any]:
    return {"waited_s": round(pace.report.waited_s, 1), "notes": pace.report.notes}
