"""An index that is followed: passages are right within seconds of what applications write, whatever happens between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.backfills import WordEncoder, plan_for
from support.effort import tries
from support.scratch import unique_name
from support.shop_writers import ShopWriter
from support.shops import DOCUMENTS, ENCODER, MAPPINGS, SMALL, check_index, open_shop, read_all
from support.somebody import Somebody

from connector.backfill.fields import BackfillPlan, meta_is_lost, put_fields, put_meta, take_meta_out
from connector.backfill.keeping_up import follower
from connector.backfill.keeping_up.checkpoints import IndexCheckpoints, read_checkpoints
from connector.backfill.keeping_up.follower import IndexFollower, PassageLag
from connector.backfill.keeping_up.run import FollowedIndices, FollowedVectors, follow
from connector.backfill.keeping_up.state import StateFile
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.backfilled import AddedNames, without_ours
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.errors import ClusterUnavailable, WorkerUnavailable
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings
from connector.types import Vectors

PATIENCE_S = 120


class Following:
    """A follower at work in a task of its own."""

    def __init__(self, cluster: RestCluster, plan: BackfillPlan, folder: Path, encoder: WordEncoder = ENCODER) -> None:
        self.behind = PassageLag(1)
        self.looks = 0
        self.told = 0
        self.told_by_then: list[int] = []  # how often, at each progress of a round
        self._is_progress = False
        self.stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.follower = IndexFollower(
            cluster,
            plan,
            encoder,
            SMALL,
            expected=DOCUMENTS,
            rejects=folder / "rejects",
            state=StateFile(folder / "state.json"),
            stop=self.stop,
            every_s=0.05,
            sweep_s=3600,
            on_progress=self._see,
            on_behind=self._hear,
        )
        self.task = asyncio.create_task(self.follower.run())

    def _hear(self, behind: PassageLag) -> None:
        self.behind, self.told = behind, self.told + 1
        self.looks += not self._is_progress
        self._is_progress = False

    def _see(self, counts: BackfillCounts) -> None:
        self.told_by_then.append(self.told)
        self._is_progress = True

    async def until(self, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not reached():
            if self.task.done():
                await self.task
            assert time.monotonic() < end, self.behind
            await asyncio.sleep(0.02)

    async def until_looked(self, times: int) -> None:
        await self.until(lambda: self.looks > times)

    async def until_caught_up(self) -> None:
        """Until a whole look that began from now on found nothing left."""
        looks = self.looks
        await self.until(lambda: self.looks > looks + 3 and not self.behind.operations)

    async def end(self) -> BackfillReport:
        self.stop.set_result("the test ends it")
        return await self.task


async def finish_writing(writers: list[ShopWriter]) -> None:
    for writer in writers:
        await writer.close()


@pytest.mark.live
async def test_passages_are_right_after_all_that_applications_do(somebody: Somebody, tmp_path: Path) -> None:
    cluster, plan, writers = await open_shop(somebody)
    following = Following(cluster, plan, tmp_path)
    await following.until_caught_up()
    for writer in writers:
        for _ in range(tries(40)):
            await writer.write_once()
    await following.until_caught_up()
    found = await read_all(somebody, plan.index)
    report = await following.end()
    await finish_writing(writers)

    assert [dict(writer.refused) for writer in writers] == [{}, {}]
    assert report.counts.again > 0  # documents that were changed after they had passages
    assert report.counts.contested == 0
    check_index(found, plan, writers)


@pytest.mark.live
async def test_a_killed_follower_goes_on_where_it_was(somebody: Somebody, tmp_path: Path) -> None:
    cluster, plan, writers = await open_shop(somebody)
    stop = asyncio.Event()
    writing = [asyncio.create_task(writer.write_until(stop, pause_s=0.01)) for writer in writers]
    for at in range(tries(3)):
        following = Following(cluster, plan, tmp_path)
        await following.until_looked(2 + 2 * at)
        following.task.cancel()  # nothing is written any more, and nothing said
        await asyncio.wait([following.task])
    stop.set()
    await asyncio.gather(*writing)
    last = Following(cluster, plan, tmp_path)
    await last.until_caught_up()
    found = await read_all(somebody, plan.index)
    report = await last.end()
    await finish_writing(writers)

    assert report.counts.found < len(found)  # it did not begin anew
    check_index(found, plan, writers)


@pytest.fixture
async def elasticsearch_somebody(elasticsearch: ClusterSettings) -> AsyncIterator[Somebody]:
    found = Somebody(elasticsearch.url, await connect(elasticsearch))
    yield found
    found.leave()
    await found.cluster.close()


async def small_shop(somebody: Somebody, documents: int) -> tuple[RestCluster, BackfillPlan]:
    """An index of one shard that nobody writes to any more, with our fields in its mapping."""
    assert isinstance(somebody.cluster, RestCluster)
    index = somebody.make(MAPPINGS, *({"title": f"Shelf {at}"} for at in range(documents)), settings=somebody.knn)
    plan = await plan_for(somebody.cluster, index, {"title": 2.0, "body": 1.0})
    await put_fields(somebody.cluster, plan)
    return somebody.cluster, plan


class AwayAtFirst(WordEncoder):
    """The encoder of a worker that is started anew just then."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked += 1
        if self.asked == 1:
            raise WorkerUnavailable("no worker there")
        return super().encode(texts)


async def test_an_encoder_that_is_away_is_waited_for_and_a_long_look_tells_how_far_it_is(
    elasticsearch_somebody: Somebody, tmp_path: Path
) -> None:
    cluster, plan = await small_shop(elasticsearch_somebody, 40)
    following = Following(cluster, plan, tmp_path, AwayAtFirst())
    await following.until_caught_up()
    report = await following.end()

    assert report.counts.written == 40
    first, second, third = following.told_by_then[:3]  # the groups of one round
    assert first < second < third


async def test_own_writes_of_another_history_are_none(
    elasticsearch_somebody: Somebody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, plan = await small_shop(elasticsearch_somebody, 1)
    history: list[str] = []

    async def read_restored(*args: Any) -> IndexCheckpoints:
        now = await read_checkpoints(*args)
        return replace(now, shards=tuple(replace(shard, history=f"{shard.history}{history}") for shard in now.shards))

    monkeypatch.setattr(follower, "read_checkpoints", read_restored)
    following = Following(cluster, plan, tmp_path)
    await following.until_caught_up()
    (own,) = following.follower._rounds.own
    own.add(1_000)
    history.append("restored")
    await following.until_caught_up()
    await following.end()

    assert 1_000 not in own


async def test_a_shard_that_does_not_answer_is_no_index_of_fewer_shards(elasticsearch_somebody: Somebody) -> None:
    cluster = elasticsearch_somebody.cluster
    assert isinstance(cluster, RestCluster)
    index = unique_name()
    elasticsearch_somebody.drop_later(index)
    on_one_node = {"number_of_shards": 2, "number_of_replicas": 0, "routing.allocation.total_shards_per_node": 1}
    elasticsearch_somebody.send("PUT", f"/{index}?wait_for_active_shards=0", {"settings": {"index": on_one_node}})
    elasticsearch_somebody.send("GET", f"/_cluster/health/{index}?wait_for_active_shards=1")
    with pytest.raises(ClusterUnavailable, match="not every shard"):
        await read_checkpoints(cluster, index, 2)

    small = elasticsearch_somebody.make({})  # as if made anew with fewer

    assert len((await read_checkpoints(cluster, small, 2)).shards) == 1


async def test_an_index_that_is_followed_no_more_is_in_trouble(
    elasticsearch_somebody: Somebody, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster, plan = await small_shop(elasticsearch_somebody, 0)
    elasticsearch_somebody.send("DELETE", f"/{plan.index}")
    settings = load_settings(environ={}, overrides={"cluster.url": cluster.url, "index.name": plan.index})
    probed: Any = type("Probed", (), {"documents": 0})
    told: list[PassageLag] = []
    (report,) = await follow(
        FollowedIndices(cluster, settings, [FollowedVectors(plan, probed, ENCODER)]),
        states=tmp_path,
        rejects=tmp_path / "rejects",
        stop=asyncio.get_running_loop().create_future(),
        on_behind=lambda name, behind: told.append(behind),
    )

    assert report.stopped
    assert told[-1].trouble == report.stopped
    assert f"{plan.index} is not followed any more" in caplog.text


async def test_what_was_taken_out_on_purpose_is_not_put_back(elasticsearch_somebody: Somebody) -> None:
    cluster, plan = await small_shop(elasticsearch_somebody, 0)
    switched = replace(plan.added, names=AddedNames("passages_2"))
    await put_meta(cluster, plan.index, lambda meta: switched.to_meta(without_ours(meta)))

    assert not await meta_is_lost(cluster, plan)

    await put_meta(cluster, plan.index, without_ours)

    assert await meta_is_lost(cluster, plan)


async def test_a_follower_ends_where_its_vectors_were_taken_out(elasticsearch: ClusterSettings, tmp_path: Path) -> None:
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    cluster, plan, writers = await open_shop(somebody)
    other = replace(plan, added=replace(plan.added, names=AddedNames("passages_2")), is_other=True)
    await put_fields(cluster, other)
    following = Following(cluster, other, tmp_path)
    await following.until_caught_up()
    await take_meta_out(cluster, plan.index, "passages_2")
    await writers[0].write_once()
    report = await asyncio.wait_for(following.task, PATIENCE_S)
    lost = await meta_is_lost(cluster, other)
    await finish_writing(writers)
    somebody.leave()
    await cluster.close()

    assert "'passages_2'" in str(report.stopped)
    assert "were taken out" in str(report.stopped)
    assert not lost
