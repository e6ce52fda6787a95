"""An index that is followed: passages are right within seconds of what applications write, whatever happens between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.indices.backfills import WordEncoder
from support.indices.besides import bulk, put_all
from support.indices.followed_shops import AwayAtFirst, followed_of, small_shop
from support.indices.scratch import unique_name
from support.indices.shop_writers import ShopWriter
from support.indices.shops import DOCUMENTS, ENCODER, SMALL, check_index, open_shop, read_all
from support.indices.somebody import Somebody
from support.parts import until
from support.runs.effort import tries

from connector.backfill import scan
from connector.backfill.fields import BackfillPlan, put_fields, put_meta, read_index_mapping
from connector.backfill.in_place import rounds
from connector.backfill.in_place.rounds import META_REPLACED
from connector.backfill.keeping_up import follower
from connector.backfill.keeping_up.checkpoints import IndexCheckpoints, read_checkpoints
from connector.backfill.keeping_up.follower import IndexFollower
from connector.backfill.keeping_up.lag import PassageLag
from connector.backfill.keeping_up.run import FollowListeners, follow
from connector.backfill.keeping_up.state import StateFile
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.backfill.undo import UndoJob, plan_undo
from connector.backfilled import AddedNames, Backfilled
from connector.clusters.clients import Client
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.errors import ClusterUnavailable
from connector.settings.sections import ClusterSettings

PATIENCE_S = 120
SILENT = 20  # documents


class Following:
    """A follower at work in a task of its own."""

    def __init__(self, cluster: RestCluster, plan: BackfillPlan, folder: Path, encoder: WordEncoder = ENCODER) -> None:
        folder.mkdir(exist_ok=True)
        self.behind = PassageLag(1)
        self.looks = 0
        self.readings = 0
        self.looks_by_then: list[int] = []  # how often, at each progress of a round
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
        self.behind, self.readings = behind, self.readings + 1
        self.looks += not self._is_progress
        self._is_progress = False

    def _see(self, counts: BackfillCounts) -> None:
        self.looks_by_then.append(self.readings)
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
        for _ in range(tries(20)):
            await writer.write_once()
    await following.until_caught_up()
    found = await read_all(somebody, plan.index)
    report = await following.end()
    await finish_writing(writers)

    assert [dict(writer.refused) for writer in writers] == [{}, {}]
    assert report.counts.again > 0  # documents that were changed after they had passages
    # of one that is deleted before the next look nothing more is heard
    assert report.counts.contested <= sum(writer.counts["delete"] for writer in writers)
    check_index(found, plan, writers)


@pytest.mark.live
async def test_a_killed_follower_goes_on_where_it_was(somebody: Somebody, tmp_path: Path) -> None:
    cluster, plan, writers = await open_shop(somebody)
    silent = ShopWriter(cluster.url, plan.index, "silent", seed=2)  # however long a look takes, these do not change
    await silent.fill(SILENT)
    stop = asyncio.Event()
    writing = [asyncio.create_task(writer.write_until(stop, pause_s=0.02)) for writer in writers]
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
    await finish_writing([*writers, silent])

    assert report.counts.found <= len(found) - SILENT  # it did not begin anew
    check_index(found, plan, [*writers, silent])


class Dying:
    """The client of a process that is killed when it asks for one page of documents too many, once it has kept anything
    new, or in five seconds."""

    def __init__(self, client: Client, pages: int, state: Path) -> None:
        self._client, self._pages = client, pages
        self._state, self._kept = state, state.read_text()
        self.die: Callable[[], Any] = lambda: None

    @property
    def has_got_on(self) -> bool:
        return self._state.read_text() != self._kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def request(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        self._pages -= path == "/_search"
        if path == "/_search" and self._pages < 0:  # what is written meanwhile is written
            with suppress(TimeoutError):
                await asyncio.wait_for(until(lambda: self.has_got_on), timeout=5)
            self.die()
            await asyncio.Event().wait()
        return await self._client.request(method, path, **given)


@pytest.mark.live
@pytest.mark.parametrize("engine", ["es9", "os3"], indirect=True)
async def test_a_follower_that_is_killed_early_in_each_long_round_arrives(
    somebody: Somebody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round is seven pages long, and each process reads three."""
    monkeypatch.setattr(rounds, "PLACE_S", 0.0)
    monkeypatch.setattr(follower, "KEEP_S", 0.0)
    monkeypatch.setattr(scan, "PAGE", 20)
    cluster, plan = await small_shop(somebody, 0)
    titles = {f"d{at}": f"Shelf {at}" for at in range(120)}
    put_all(somebody, plan.index, {doc_id: {"title": title} for doc_id, title in titles.items()})
    first = Following(cluster, plan, tmp_path)
    await first.until_caught_up()
    await first.end()
    titles |= {f"d{at}": f"Shelf {at} is elsewhere" for at in range(0, 120, 3)}
    changes = [({"update": {"_index": plan.index, "_id": doc_id}}, {"doc": {"title": title, "price": 1}})
               for doc_id, title in titles.items()]  # fmt: skip
    bulk(somebody, [line for change in changes for line in change])
    deaths = in_vain = 0
    while True:
        client = Dying(cluster.client, 3, tmp_path / "state.json")
        following = Following(cluster.asked_by(client), plan, tmp_path)
        client.die = following.task.cancel
        caught_up = asyncio.create_task(following.until_caught_up())
        await asyncio.wait([caught_up, following.task], return_when=asyncio.FIRST_COMPLETED)
        if not following.task.cancelled():
            break
        await asyncio.wait([caught_up])
        deaths += 1
        in_vain = 0 if client.has_got_on else in_vain + 1
        assert in_vain < 5, (tmp_path / "state.json").read_text()
    await caught_up
    await following.end()
    found = await read_all(somebody, plan.index)

    assert deaths > 1
    assert {doc_id: [passage["text"] for passage in source["passages"]] for doc_id, source in found.items()} == {
        doc_id: [title] for doc_id, title in titles.items()
    }


@pytest.fixture
async def elasticsearch_somebody(elasticsearch: ClusterSettings) -> AsyncIterator[Somebody]:
    found = Somebody(elasticsearch.url, await connect(elasticsearch))
    yield found
    found.leave()
    await found.cluster.close()


async def test_an_encoder_that_is_away_is_waited_for_and_a_long_look_tells_how_far_it_is(
    elasticsearch_somebody: Somebody, tmp_path: Path
) -> None:
    cluster, plan = await small_shop(elasticsearch_somebody, 40)
    following = Following(cluster, plan, tmp_path, AwayAtFirst())
    await following.until_caught_up()
    report = await following.end()

    assert report.counts.written == 40
    first, second, third = following.looks_by_then[:3]  # the groups of one round
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
    on_one_node = {"number_of_shards": 2, "number_of_replicas": 0, "routing.allocation.total_shards_per_node": 1}
    elasticsearch_somebody.send("PUT", f"/{index}?wait_for_active_shards=0", {"settings": {"index": on_one_node}})
    try:
        elasticsearch_somebody.send("GET", f"/_cluster/health/{index}?wait_for_active_shards=1")
        with pytest.raises(ClusterUnavailable, match="not every shard"):
            await read_checkpoints(cluster, index, 2)
    finally:
        elasticsearch_somebody.send("DELETE", f"/{index}")  # at once: while it is there, the whole cluster is red

    small = elasticsearch_somebody.make({})  # as if made anew with fewer

    assert len((await read_checkpoints(cluster, small, 2)).shards) == 1


async def test_an_index_that_is_followed_no_more_is_in_trouble(
    elasticsearch_somebody: Somebody, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster, plan = await small_shop(elasticsearch_somebody, 0)
    elasticsearch_somebody.send("DELETE", f"/{plan.index}")
    lags: list[PassageLag] = []
    (report,) = await follow(
        followed_of(cluster, plan),
        states=tmp_path,
        rejects=tmp_path / "rejects",
        stop=asyncio.get_running_loop().create_future(),
        listeners=FollowListeners(on_behind=lambda name, behind: lags.append(behind)),
    )

    assert report.stopped
    assert lags[-1].trouble == report.stopped
    assert f"{plan.index} is not followed any more" in caplog.text


async def test_what_somebody_wrote_over_in_meta_is_put_back_at_once(
    elasticsearch_somebody: Somebody, tmp_path: Path
) -> None:
    cluster, plan = await small_shop(elasticsearch_somebody, 3)
    other = replace(plan, added=replace(plan.added, names=AddedNames("passages_2")), is_other=True)
    await put_fields(cluster, other)
    both = [Following(cluster, plan, tmp_path / "used"), Following(cluster, other, tmp_path / "other")]
    for following in both:
        await following.until_caught_up()
    await put_meta(cluster, plan.index, lambda meta: {"owner": "somebody"})
    for following in both:
        await following.until_caught_up()
    reports = [await following.end() for following in both]
    meta = (await read_index_mapping(cluster, plan.index))["_meta"]

    assert meta["owner"] == "somebody"
    assert (Backfilled.from_meta(meta), Backfilled.others_from_meta(meta)) == (plan.added, (other.added,))
    assert all(META_REPLACED in report.notes for report in reports)


async def test_who_takes_vectors_out_need_not_end_the_follower_first(
    elasticsearch_somebody: Somebody, tmp_path: Path
) -> None:
    cluster, plan = await small_shop(elasticsearch_somebody, 20)
    other = replace(plan, added=replace(plan.added, names=AddedNames("passages_2")), is_other=True)
    await put_fields(cluster, other)
    both = [Following(cluster, plan, tmp_path / "used"), Following(cluster, other, tmp_path / "other")]
    for following in both:
        await following.until_caught_up()
    cleaned = await UndoJob(cluster, await plan_undo(cluster, plan.index, None, other.added), SMALL).run()
    second = await asyncio.wait_for(both[1].task, PATIENCE_S)
    await both[0].until_caught_up()
    between = await read_all(elasticsearch_somebody, plan.index)
    undone = await UndoJob(cluster, await plan_undo(cluster, plan.index, None), SMALL).run()
    first = await asyncio.wait_for(both[0].task, PATIENCE_S)
    after = await read_all(elasticsearch_somebody, plan.index)
    meta = (await read_index_mapping(cluster, plan.index))["_meta"]

    assert cleaned.ok
    assert undone.ok
    for report, field in ((first, "'passages'"), (second, "'passages_2'")):
        assert report.stopped is None
        assert field in report.notes[-1]
        assert "taken out" in report.notes[-1]
        assert META_REPLACED not in report.notes
    assert {name for source in between.values() for name in source} == {"title", "passages", "passages_of"}
    assert {name for source in after.values() for name in source} == {"title"}
    assert meta == {"owner": "shop"}


async def test_an_index_that_is_closed_for_a_moment_is_waited_for(
    elasticsearch_somebody: Somebody, tmp_path: Path
) -> None:
    cluster, plan = await small_shop(elasticsearch_somebody, 1)
    following = Following(cluster, plan, tmp_path)
    await following.until_caught_up()
    elasticsearch_somebody.send("POST", f"/{plan.index}/_close")
    await following.until(lambda: "open it" in following.behind.trouble)
    seconds = following.behind.seconds
    await following.until(lambda: following.behind.seconds > seconds)
    elasticsearch_somebody.send("POST", f"/{plan.index}/_open")
    elasticsearch_somebody.send("PUT", f"/{plan.index}/_doc/new", {"title": "Doors"})
    await following.until_caught_up()
    report = await following.end()

    assert report.counts.written == 2
    assert not following.behind.trouble


async def test_what_was_refused_is_tried_again_by_the_next_run_and_the_last_sweep_is_remembered(
    elasticsearch_somebody: Somebody, tmp_path: Path
) -> None:
    somebody = elasticsearch_somebody
    cluster, plan = await small_shop(somebody, 2)
    limit = "index.mapping.nested_objects.limit"
    somebody.send("PUT", f"/{plan.index}/_settings", {limit: 1})
    first = Following(cluster, plan, tmp_path)
    await first.until_caught_up()
    long = {"body": "Cold rooms are checked twice a day. " * 20}
    somebody.send("POST", f"/{plan.index}/_update/d0", {"doc": long})
    await first.until_caught_up()
    refused = await first.end()
    kept = StateFile(tmp_path / "state.json").read()
    second = Following(cluster, plan, tmp_path)
    await second.until_caught_up()
    refused_again = await second.end()
    somebody.send("PUT", f"/{plan.index}/_settings", {limit: 100})
    third = Following(cluster, plan, tmp_path)
    await third.until_caught_up()
    report = await third.end()
    last = StateFile(tmp_path / "state.json").read()

    assert kept
    assert last
    assert (refused.counts.behind, [len(numbers) for numbers in kept.refused]) == (1, [1])
    assert (refused_again.counts.found, refused_again.counts.refused) == (1, 1)
    assert (report.counts.found, report.counts.written) == (1, 1)
    assert last.refused == ((),)
    assert last.swept_at == kept.swept_at
