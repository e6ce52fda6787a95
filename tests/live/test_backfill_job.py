"""A back-fill of an index that applications write to all the time: none of their writes is lost, refused or undone, and
in the end the index holds what one built anew from the final documents would."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.backfills import WordEncoder, plan_for
from support.command import Launcher
from support.effort import IS_SOAK
from support.proxy import Proxy, Seen
from support.shop_writers import ShopWriter
from support.somebody import TEXT, Somebody

from connector.backfill.fields import BackfillPlan, put_fields
from connector.backfill.job import BackfillJob
from connector.backfill.passages import build_passages
from connector.backfill.report import BackfillReport
from connector.clusters.rest import RestCluster
from connector.settings.sections import IngestSettings

ENCODER = WordEncoder()
SMALL = IngestSettings(group_documents=16, backoff_s=0.05)
DOCUMENTS = 120
WRITERS = 2
KILLS = 300 if IS_SOAK else 3
PROGRAM = Path(__file__).parents[1] / "support" / "backfill_program.py"
MAPPINGS = {
    "properties": {"title": TEXT, "body": TEXT, "price": {"type": "integer"}, "n": {"type": "long"}},
    "_meta": {"owner": "shop"},
}


async def start(somebody: Somebody, shards: int = 2) -> tuple[RestCluster, BackfillPlan, list[ShopWriter]]:
    """An index that two applications have filled, with our fields in its mapping."""
    assert isinstance(somebody.cluster, RestCluster)
    settings = somebody.knn | {"index.number_of_shards": shards}
    index = somebody.make(MAPPINGS, settings=settings)
    writers = [ShopWriter(somebody.cluster.url, index, f"app{at}", seed=at) for at in range(WRITERS)]
    for writer in writers:
        await writer.fill(DOCUMENTS // WRITERS)
    plan = await plan_for(somebody.cluster, index, {"title": 2.0, "body": 1.0})
    await put_fields(somebody.cluster, plan)
    return somebody.cluster, plan, writers


async def backfill(cluster: RestCluster, plan: BackfillPlan, folder: Path, **options: Any) -> BackfillReport:
    job = BackfillJob(
        cluster, plan, options.pop("encoder", ENCODER), SMALL, expected=DOCUMENTS, rejects=folder / "rejects", **options
    )
    return await job.run()


async def read_all(somebody: Somebody, index: str) -> dict[str, dict[str, Any]]:
    """Every document with all that it holds, vectors too."""
    somebody.send("POST", f"/{index}/_refresh")
    body: dict[str, Any] = {"size": 5_000, "version": True}
    if str(somebody.cluster.engine).startswith("elasticsearch 9"):  # which leaves vectors out else
        body["_source"] = {"exclude_vectors": False}
    reply = somebody.send("POST", f"/{index}/_search", body)
    return {hit["_id"]: hit["_source"] for hit in reply["hits"]["hits"]}


def check_index(found: dict[str, dict[str, Any]], plan: BackfillPlan, writers: list[ShopWriter]) -> None:
    """The index holds what the applications wrote last, and the passages and vectors of just that."""
    expected = {doc_id: source for writer in writers for doc_id, source in writer.documents.items()}
    names = plan.added.names
    theirs = {
        doc_id: {name: value for name, value in source.items() if name not in (names.passages, names.marker)}
        for doc_id, source in found.items()
    }

    assert theirs == expected

    texts = {
        doc_id: {name: source[name] for name in ("title", "body") if source.get(name)}
        for doc_id, source in expected.items()
    }
    built = build_passages(plan, list(texts.items()), ENCODER.token_offsets)
    for doc_id, (passages, marker) in zip(texts, built, strict=True):
        source = found[doc_id]
        vectors = ENCODER.encode([passage.text for passage in passages])

        assert source[names.marker][-1] == marker, doc_id
        assert [each["text"] for each in source[names.passages]] == [passage.text for passage in passages]
        assert np.allclose([each["vector"] for each in source[names.passages]] or vectors, vectors, atol=1e-4)


@pytest.mark.live
async def test_applications_lose_nothing_while_they_write(somebody: Somebody, tmp_path: Path) -> None:
    cluster, plan, writers = await start(somebody)
    stop = asyncio.Event()
    writing = [asyncio.create_task(writer.write_until(stop)) for writer in writers]
    for _ in range(10 if IS_SOAK else 1):
        report = await backfill(cluster, plan, tmp_path)
        counts = report.counts

        assert report.stopped is None
        assert counts.refused == 0
        assert counts.found == sum(
            (counts.written, counts.unchanged, counts.without_text, counts.gone, counts.refused, counts.contested)
        )
    stop.set()
    await asyncio.gather(*writing)
    last = await backfill(cluster, plan, tmp_path)
    again = await backfill(cluster, plan, tmp_path)
    found = await read_all(somebody, plan.index)
    writes = sum(writer.writes for writer in writers)
    for writer in writers:
        await writer.close()

    assert [dict(writer.refused) for writer in writers] == [{}, {}]
    assert writes > 2 * DOCUMENTS + 20  # they did write meanwhile
    assert last.ok
    assert again.ok
    assert again.counts.found == again.counts.unchanged + again.counts.without_text == len(found)
    check_index(found, plan, writers)


@pytest.mark.live
@pytest.mark.timeout(3_600 if IS_SOAK else 300)
async def test_a_job_that_is_killed_at_any_moment_is_run_again(
    somebody: Somebody, launcher: Launcher, tmp_path: Path
) -> None:
    cluster, plan, writers = await start(somebody)
    chance = random.Random(7)
    killed = 0
    for _ in range(KILLS):
        reached, after = asyncio.Event(), chance.randint(0, 6)
        async with Proxy(cluster.url) as proxy:

            def watch(seen: Seen, proxy: Proxy = proxy, reached: asyncio.Event = reached, after: int = after) -> None:
                if sum(request.is_bulk for request in proxy.seen) >= after:
                    reached.set()

            proxy.fault = watch
            running = launcher.start(proxy.url, plan.index, str(tmp_path), cwd=tmp_path, program=PROGRAM)
            ended, moment = asyncio.wrap_future(running.ended), asyncio.create_task(reached.wait())
            writing = asyncio.create_task(writers[0].write_until(reached))
            await asyncio.wait([ended, moment], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(chance.random() * 0.1)
            reached.set()
            await writing
            if not ended.done():
                running.kill()
                killed += 1
            code = await ended

            assert code in (0, -signal.SIGKILL), running.wait()
        await writers[1].replace_all()
    last = await backfill(cluster, plan, tmp_path)
    again = await backfill(cluster, plan, tmp_path)
    found = await read_all(somebody, plan.index)
    for writer in writers:
        await writer.close()

    assert killed > KILLS / 2
    assert [dict(writer.refused) for writer in writers] == [{}, {}]
    assert last.ok
    assert again.counts.found == again.counts.unchanged + again.counts.without_text == len(found)
    check_index(found, plan, writers)
