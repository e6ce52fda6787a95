"""A disk that is really beyond the flood stage while a job writes: the engine blocks the index by itself, the job ends
at the first request that is refused, and the next one goes on once there is room. `make soak` runs it: an engine of its
own looks at the disk every ten seconds at the most often."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.indices.backfills import WordEncoder, plan_for
from support.indices.besides import MAPPING, TEXT, cluster_of, make_beside, put_all
from support.indices.somebody import Somebody
from support.parts import wait_until
from support.servers.running_engines import SERVERS, SHORT_LIVED

from connector.backfill.beside.filling import BesideJob
from connector.backfill.fields import put_fields
from connector.backfill.in_place.job import BackfillJob
from connector.clusters.connect import connect
from connector.settings.sections import ClusterSettings, IngestSettings
from connector.types import Vectors

sys.path.insert(0, str(SERVERS))
import engines

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]
COUNT = 700
NOTES: dict[str, dict[str, Any]] = {
    f"n{at}": {"title": f"Note {at}", "text": f"word{at} and some more"} for at in range(COUNT)
}
WATERMARK = "cluster.routing.allocation.disk.watermark"
LOOKS = {"cluster.routing.allocation.disk.threshold_enabled": True, "cluster.info.update.interval": "10s"}
FREE = {"low": "3b", "high": "2b", "flood_stage": "1b"}  # as much has to be free
FULL = dict.fromkeys(FREE, "999tb")


class FloodedMeanwhile(WordEncoder):
    """The disk is beyond the flood stage from the second group of documents on: the first was written by then, or
    is."""

    def __init__(self, flood: Callable[[], None]) -> None:
        super().__init__()
        self._flood, self._calls = flood, 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        self._calls += 1
        if self._calls == 2:
            self._flood()
        return super().encode(texts)


@pytest.fixture(params=[("elasticsearch", "9.3.2"), ("opensearch", "2.19.1")], ids=["es9", "os2"])
async def watched(request: pytest.FixtureRequest) -> AsyncIterator[Somebody]:
    """Somebody on an engine that looks at its disk."""
    kind, version = request.param
    server = await asyncio.to_thread(
        engines.start, kind, version, settings=LOOKS, java_options=SHORT_LIVED[kind], wait_s=300
    )
    cluster = await connect(ClusterSettings(url=server["url"]))
    yield Somebody(server["url"], cluster)
    await cluster.close()
    engines.stop(server)


def set_watermarks(somebody: Somebody, free: dict[str, str]) -> None:
    somebody.send(
        "PUT", "/_cluster/settings", {"persistent": {f"{WATERMARK}.{name}": value for name, value in free.items()}}
    )


def is_blocked(somebody: Somebody, name: str) -> bool:
    """By the engine itself."""
    settings = somebody.send("GET", f"/{name}/_settings?flat_settings=true")[name]["settings"]
    return bool(settings.get("index.blocks.read_only_allow_delete") == "true")


async def run(somebody: Somebody, way: str, name: str, encoder: WordEncoder, folder: Path) -> Any:
    """The report of a job of that way over the index of the notes."""
    cluster, settings = cluster_of(somebody), IngestSettings(max_attempts=2, backoff_s=0.01)
    if way == "beside":
        return await BesideJob(cluster, await make_beside(somebody, name), encoder, settings).run()
    plan = await plan_for(cluster, name, TEXT)
    await put_fields(cluster, plan)
    return await BackfillJob(cluster, plan, encoder, settings, expected=COUNT, rejects=folder / "rejects").run()


async def test_a_job_stops_at_once_and_goes_on_once_there_is_room(watched: Somebody, tmp_path: Path) -> None:
    set_watermarks(watched, FREE)
    names = {way: watched.make(MAPPING, settings=watched.knn) for way in ("in place", "beside")}
    written_to = {names["in place"]: names["in place"], names["beside"]: f"vectors-of-{names['beside']}"}
    await make_beside(watched, names["beside"])  # OpenSearch makes no index in a flood, and for a moment after it
    for way, name in names.items():
        put_all(watched, name, NOTES)

        def flood(blocked: str = written_to[name]) -> None:
            set_watermarks(watched, FULL)
            wait_until(lambda: is_blocked(watched, blocked))

        stopped = await run(watched, way, name, FloodedMeanwhile(flood), tmp_path)
        set_watermarks(watched, FREE)
        await asyncio.to_thread(wait_until, lambda blocked=written_to[name]: not is_blocked(watched, blocked))
        counts = (await run(watched, way, name, WordEncoder(), tmp_path)).counts

        assert "flood-stage watermark" in stopped.stopped
        assert "free space" in stopped.stopped
        assert 0 < stopped.counts.written < COUNT
        assert (counts.written, counts.unchanged) == (COUNT - stopped.counts.written, stopped.counts.written)
