"""An index that is followed: passages are right within seconds of what applications write, whatever happens between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.effort import tries
from support.shop_writers import ShopWriter
from support.shops import DOCUMENTS, ENCODER, SMALL, check_index, open_shop, read_all
from support.somebody import Somebody

from connector.backfill.fields import BackfillPlan
from connector.backfill.keeping_up.follower import IndexFollower, PassageLag
from connector.backfill.keeping_up.state import StateFile
from connector.backfill.report import BackfillReport
from connector.clusters.rest import RestCluster

PATIENCE_S = 120


class Following:
    """A follower at work in a task of its own."""

    def __init__(self, cluster: RestCluster, plan: BackfillPlan, folder: Path, **options: Any) -> None:
        self.behind = PassageLag(1)
        self.looks = 0
        self.stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.follower = IndexFollower(
            cluster,
            plan,
            ENCODER,
            SMALL,
            expected=DOCUMENTS,
            rejects=folder / "rejects",
            state=StateFile(folder / "state.json"),
            stop=self.stop,
            every_s=0.05,
            sweep_s=3600,
            on_behind=self._hear,
            **options,
        )
        self.task = asyncio.create_task(self.follower.run())

    def _hear(self, behind: PassageLag) -> None:
        self.behind, self.looks = behind, self.looks + 1

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
