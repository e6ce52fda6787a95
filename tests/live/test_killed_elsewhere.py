"""A job beside an index, or into a new one, that dies at some moment: the next one ends as if there had been none."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest
from support.backfills import WORDS, WordEncoder
from support.besides import MAPPING, SETTINGS, TEXT, cluster_of, make_beside, put_all
from support.effort import tries
from support.scratch import unique_name
from support.somebody import Somebody

from connector.backfill.beside import BesideJob
from connector.backfill.into import IntoJob
from connector.backfill.into_plan import create_new, plan_into
from connector.settings.sections import IngestSettings

pytestmark = pytest.mark.parametrize("engine", ["es9"], indirect=True)
ENCODER = WordEncoder()
NOTES: dict[str, dict[str, Any]] = {
    f"n{at}": {"title": f"Note {at}", "text": f"word{at} and some more", "tier": ("gold", "tin")[at % 2]}
    for at in range(900)
}


async def die_at_some_moment(chance: random.Random, run: Callable[[Callable[[Any], None]], Any]) -> None:
    """Begin a job, and cancel it at one of the times that it counts something."""
    left = chance.randrange(2, 12)

    def count(counts: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            task.cancel()

    task = asyncio.create_task(run(count))
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_vectors_beside_an_index(somebody: Somebody) -> None:
    name = somebody.make(MAPPING, settings={"index.number_of_shards": 2})
    put_all(somebody, name, NOTES)
    index, chance = await make_beside(somebody, name), random.Random(3)

    def job(count: Callable[[Any], None] = lambda counts: None) -> Any:
        return BesideJob(cluster_of(somebody), index, ENCODER, IngestSettings(), on_progress=count).run()

    for _ in range(tries(3)):
        await die_at_some_moment(chance, job)
    last, again = await job(), await job()
    held = await index.read_versions([*NOTES], timeout_s=30)

    assert held.keys() == NOTES.keys()
    assert last.counts.failed == 0
    assert again.counts.unchanged == len(NOTES)


async def test_a_new_index(somebody: Somebody) -> None:
    old, new, chance = somebody.make(MAPPING, settings={"index.number_of_shards": 2}), unique_name(), random.Random(4)
    somebody.drop_later(new)
    put_all(somebody, old, NOTES)
    cluster = cluster_of(somebody)

    async def job(count: Callable[[Any], None] = lambda counts: None) -> Any:
        plan = await plan_into(cluster, old, new, SETTINGS, WORDS, text=TEXT)
        await create_new(cluster, plan)
        return await IntoJob(cluster, plan, ENCODER, IngestSettings(), on_progress=count).run()

    for _ in range(tries(3)):
        await die_at_some_moment(chance, job)
    last, again = await job(), await job()

    assert last.same
    assert last.counts.failed == 0
    assert (again.counts.copied, again.counts.unchanged) == (0, len(NOTES))
