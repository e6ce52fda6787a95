"""A back-fill of an index that applications write to all the time: none of their writes is lost, refused or undone, and
in the end the index holds what one built anew from the final documents would."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from support.indices.shop_writers import PAUSE_S, ShopWriter
from support.indices.shops import DOCUMENTS, ENCODER, SMALL, check_index, open_shop, read_all
from support.indices.somebody import Somebody
from support.parts import until
from support.programs.command import Launcher
from support.runs.effort import IS_SOAK, tries
from support.servers.proxy import Fault, Proxy, Seen

from connector.backfill.fields import BackfillPlan
from connector.backfill.in_place.job import BackfillJob
from connector.backfill.passages import build_passages
from connector.backfill.report import BackfillReport
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.lexical import LexicalQuery
from connector.settings.sections import ClusterSettings
from connector.types import Passage

KILLS = tries(3)  # many more, of every command, on every engine: make bench-backfill-whole
WRITES, PASSAGES = (10_000, 100_000) if IS_SOAK else (150, 500)  # of each writer; that searches show
PROGRAM = Path(__file__).parents[1] / "support" / "indices" / "backfill_program.py"


async def backfill(cluster: RestCluster, plan: BackfillPlan, folder: Path, **options: Any) -> BackfillReport:
    job = BackfillJob(
        cluster, plan, options.pop("encoder", ENCODER), SMALL, expected=DOCUMENTS, rejects=folder / "rejects", **options
    )
    return await job.run()


async def search_until(stop: asyncio.Event, cluster: RestCluster, plan: BackfillPlan, passages: list[Passage]) -> None:
    """Searches all the time by vectors and by words, and keeps the passages that they showed."""
    index = await cluster.open_index(plan.index)
    while not stop.is_set() and len(passages) < PASSAGES:
        vector = ENCODER.encode_query("cold room sensor")
        nearest = await index.dense(vector, depth=20, filter=None, timeout_s=30, passages=2)
        worded = await index.lexical(LexicalQuery("cold room"), depth=20, filter=None, timeout_s=30)
        passages += [passage for hit in nearest for passage in hit.passages]
        await asyncio.sleep(PAUSE_S)

        assert all(hit.passages for hit in worded.ranking)


def check_passages(found: list[Passage], plan: BackfillPlan, writers: list[ShopWriter]) -> None:
    """Each passage is one of a text that its document has or had."""
    states = [(doc_id, source) for writer in writers for doc_id, sources in writer.states.items() for source in sources]
    texts = [
        (doc_id, {name: source[name] for name in ("title", "body") if name in source}) for doc_id, source in states
    ]
    built = build_passages(plan, texts, ENCODER.token_offsets)
    ever = {(passage.doc_id, passage.text) for passages, _ in built for passage in passages}

    assert {(passage.doc_id, passage.text) for passage in found} <= ever


@pytest.mark.live
async def test_applications_lose_nothing_while_they_write(somebody: Somebody, tmp_path: Path) -> None:
    cluster, plan, writers = await open_shop(somebody)
    stop, passages = asyncio.Event(), list[Passage]()
    writing = [asyncio.create_task(writer.write_until(stop, most=WRITES)) for writer in writers]
    searching = asyncio.create_task(search_until(stop, cluster, plan, passages))
    for _ in range(10 if IS_SOAK else 1):
        report = await backfill(cluster, plan, tmp_path)
        counts = report.counts

        assert report.stopped is None
        assert counts.refused == 0
        assert counts.found == sum(
            (counts.written, counts.unchanged, counts.without_text, counts.gone, counts.refused, counts.contested)
        )
    await until(lambda: bool(passages) and sum(writer.writes for writer in writers) > 20)  # they did so meanwhile
    stop.set()
    await asyncio.gather(searching, *writing)
    check_passages(passages, plan, writers)
    last = await backfill(cluster, plan, tmp_path)
    again = await backfill(cluster, plan, tmp_path)
    found = await read_all(somebody, plan.index)
    for writer in writers:
        await writer.close()

    assert [dict(writer.refused) for writer in writers] == [{}, {}]
    assert last.ok
    assert again.ok
    assert again.counts.found == again.counts.unchanged + again.counts.without_text == len(found)
    check_index(found, plan, writers)


@pytest.mark.live
@pytest.mark.parametrize("engine", ["es9", "os2"], indirect=True)
async def test_what_passes_is_waited_for_and_a_block_ends_the_job(somebody: Somebody, tmp_path: Path) -> None:
    direct, plan, writers = await open_shop(somebody)
    faults: dict[str, list[Fault]] = {
        "/_bulk": ["half", "too large", "reset", "refuse"],
        "/_search": ["half", "unavailable", "refuse"],
        "/_refresh": ["unavailable"],
    }
    async with Proxy(direct.url) as proxy:
        cluster = await connect(ClusterSettings(url=proxy.url))
        assert isinstance(cluster, RestCluster)

        def spoil(seen: Seen) -> Fault | None:
            left = faults.get(seen.path[seen.path.rindex("/") :])
            return left.pop() if left else None

        proxy.fault = spoil
        report = await backfill(cluster, plan, tmp_path)
        await cluster.close()
    found = await read_all(somebody, plan.index)

    assert report.ok, report
    assert not any(faults.values())
    assert report.counts.retried > 5
    assert report.counts.found == DOCUMENTS
    check_index(found, plan, writers)

    await writers[0].replace_all()
    somebody.send("PUT", f"/{plan.index}/_settings", {"index.blocks.read_only_allow_delete": True})
    try:
        blocked = await backfill(direct, plan, tmp_path)
    finally:
        somebody.send("PUT", f"/{plan.index}/_settings", {"index.blocks.read_only_allow_delete": None})
    for writer in writers:
        await writer.close()

    assert blocked.stopped is not None
    assert "free space" in blocked.stopped
    assert blocked.counts.retried == 0
    assert blocked.counts.written == 0


@pytest.mark.live
@pytest.mark.timeout(3_600 if IS_SOAK else 300)
@pytest.mark.parametrize("engine", ["es9", "os2"] if IS_SOAK else ["os2"], indirect=True)
async def test_a_job_that_is_killed_at_any_moment_is_run_again(
    somebody: Somebody, launcher: Launcher, tmp_path: Path
) -> None:
    cluster, plan, writers = await open_shop(somebody)
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
