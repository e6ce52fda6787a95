"""A job beside an index, or into a new one, that dies at some moment: the next one ends as if there had been none."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.indices.backfills import WORDS, WordEncoder
from support.indices.besides import MAPPING, SETTINGS, TEXT, cluster_of, make_beside, put_all
from support.indices.scratch import unique_name
from support.indices.somebody import Somebody
from support.runs.effort import tries

from connector.backfill.beside.filling import BesideCounts, BesideJob, BesideReport
from connector.backfill.into.copying import IntoJob
from connector.backfill.into.plan import create_new, plan_into
from connector.backfill.keeping_up.beside_follow import BesideFollower
from connector.backfill.keeping_up.state import StateFile
from connector.clusters.beside.vectors_index import hash_texts
from connector.settings.follow import FollowSettings
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


async def test_vectors_beside_an_index_that_is_followed(
    somebody: Somebody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.backfill.beside.filling.IN_FLIGHT", 20)
    name = somebody.make(MAPPING, settings={"index.number_of_shards": 2})
    put_all(somebody, name, NOTES)
    index, chance, file = await make_beside(somebody, name), random.Random(5), tmp_path / "state.json"

    async def follow(count: Callable[[Any], None] = lambda counts: None, *, passes: int = 10_000) -> BesideReport:
        stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def see(counts: BesideCounts) -> None:
            count(counts)
            if counts.passes == passes and not stop.done():
                stop.set_result("seen")

        job = BesideJob(cluster_of(somebody), index, ENCODER, IngestSettings(), stop=stop, on_progress=see)
        often = FollowSettings(every_s=0.1)
        state = StateFile(file)
        return await BesideFollower(cluster_of(somebody), index, often, IngestSettings(), state=state, stop=stop).run(
            job
        )

    now = {doc_id: {field: fields[field] for field in TEXT} for doc_id, fields in NOTES.items()}
    for life in range(tries(3)):
        await die_at_some_moment(chance, follow)
        now[f"n{life}"] = {"title": "Changed", "text": f"another{life}"}
        put_all(somebody, name, {f"n{life}": now[f"n{life}"]})
    await follow(passes=2)
    now["new"] = {"title": "New", "text": "word of it"}
    put_all(somebody, name, {"new": now["new"]})
    last = await follow(passes=2)
    held = await index.read_versions([*now], timeout_s=30)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"histories": ["another", "one"]}))
    void = await follow(passes=2)

    assert {doc_id: document.content_hash for doc_id, document in held.items()} == {
        doc_id: hash_texts(texts) for doc_id, texts in now.items()
    }
    assert (last.counts.failed, last.counts.written) == (0, 1)
    assert last.counts.read < 100
    assert (void.counts.read, void.counts.written) == (len(NOTES) + 1, 0)


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
