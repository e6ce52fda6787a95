"""Applications write all the while: to an index with vectors beside it, and to one that a new index replaces. Nothing
of theirs is lost, no search is wrong, and in the end all is as if it were built anew."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import pytest
from support.indices.backfills import WORDS, WordEncoder
from support.indices.besides import SETTINGS, cluster_of, fill_beside, make_beside
from support.indices.scratch import unique_name
from support.indices.shop_writers import PAUSE_S, ShopWriter
from support.indices.somebody import TEXT, Somebody
from support.parts import until

from connector.backfill.into.copying import IntoJob
from connector.backfill.into.plan import create_new, plan_into
from connector.backfill.into.switch import switch
from connector.backfill.passages import build_passages
from connector.clusters.beside.index import BesideIndex
from connector.ingest.passages import cut
from connector.settings.sections import IngestSettings
from connector.text import normalise_text
from connector.types import Document, Hit

ENCODER = WordEncoder()
FIELDS = {"title": 2.0, "body": 1.0}
MAPPING = {"properties": {"title": TEXT, "body": TEXT, "price": {"type": "integer"}, "n": {"type": "long"}}}
COUNT = 60
MOST = 10_000  # documents that are read at once: writers may insert hundreds in a second
TIMEOUT_S = 30.0


class Remembering(dict[str, dict[str, Any]]):
    """What is there now, and every text that a document ever had."""

    def __init__(self) -> None:
        self.ever: defaultdict[str, set[str]] = defaultdict(set)

    def __setitem__(self, doc_id: str, source: dict[str, Any]) -> None:
        super().__setitem__(doc_id, source)
        self.ever[doc_id].add(text_of(source))


def text_of(source: dict[str, Any]) -> str:
    return normalise_text(f"{source.get('title', '')}\n{source.get('body', '')}")


class WholeWriter(ShopWriter):
    """One that, once told, writes whole documents alone."""

    whole = False

    async def write_once(self) -> None:
        if not self.whole:
            await super().write_once()
            return
        self.counts["whole"] += 1
        await self._insert(self._new_id() if self._chance.random() < 0.5 else self._chance.choice([*self.documents]))


async def writers_of(somebody: Somebody, index: str) -> list[WholeWriter]:
    writers = [WholeWriter(cluster_of(somebody).url, index, f"app{at}", seed=at) for at in range(2)]
    for writer in writers:
        writer.documents = Remembering()
        await writer.fill(COUNT)
    return writers


def remembered(writer: WholeWriter) -> Remembering:
    assert isinstance(writer.documents, Remembering)
    return writer.documents


def is_right(hit: Hit, writers: list[WholeWriter]) -> bool:
    """Whether each line of the hit's passage was in its document at some time."""
    ever = {text for writer in writers for text in remembered(writer).ever[hit.doc_id]}
    return any(all(line in text for line in hit.passages[0].text.split("\n")) for text in ever)


async def search_until(stop: asyncio.Event, index: BesideIndex, hits: list[Hit]) -> None:
    while not stop.is_set():
        vector = ENCODER.encode_query("cold room firmware")
        hits += await index.dense(vector, depth=20, filter=None, timeout_s=TIMEOUT_S)
        await asyncio.sleep(PAUSE_S)


def final_of(writers: list[WholeWriter]) -> dict[str, dict[str, Any]]:
    return {doc_id: source for writer in writers for doc_id, source in writer.documents.items()}


@pytest.mark.parametrize("engine", ["es9"], indirect=True)
async def test_vectors_beside_an_index_that_is_written_to(somebody: Somebody) -> None:
    name = somebody.make(MAPPING, settings={"index.number_of_shards": 2})
    writers = await writers_of(somebody, name)
    index = await make_beside(somebody, name, text=FIELDS)
    stop, hits = asyncio.Event(), list[Hit]()
    others = [asyncio.create_task(writer.write_until(stop)) for writer in writers]
    others.append(asyncio.create_task(search_until(stop, index, hits)))
    await fill_beside(somebody, index, ENCODER)
    await fill_beside(somebody, index, ENCODER, passes=1)
    await until(lambda: len(hits) > 20 and sum(writer.writes for writer in writers) > 20)
    stop.set()
    await asyncio.gather(*others)
    somebody.send("POST", f"/{name}/_refresh")
    last = await fill_beside(somebody, index, ENCODER)
    final = final_of(writers)
    held = {
        hit["_id"]: [passage["text"] for passage in hit["_source"].get("passages", [])]
        for hit in (await index.vectors.ask({"size": MOST, "_source": ["passages.text"]}, TIMEOUT_S))["hits"]["hits"]
    }
    documents = [
        Document(doc_id, {field: source[field] for field in FIELDS if source.get(field)})
        for doc_id, source in final.items()
    ]
    cuts = cut(documents, index.vectors.schema, max_tokens=32, token_offsets=ENCODER.token_offsets)
    for writer in writers:
        await writer.close()

    assert [dict(writer.refused) for writer in writers] == [{}, {}]
    assert held == {
        document.doc_id: [passage.text for passage in own] for document, own in zip(documents, cuts, strict=True)
    }
    assert last.counts.total == len(final)
    assert [hit for hit in hits if not is_right(hit, writers)] == []


@pytest.mark.parametrize(("engine", "block_writes"), [("os2", False), ("es9", True)], indirect=["engine"])
async def test_a_new_index_in_the_place_of_one_that_is_written_to(somebody: Somebody, block_writes: bool) -> None:
    old = somebody.make(MAPPING, settings={"index.number_of_shards": 2})
    alias, new = somebody.alias(old), unique_name()
    somebody.drop_later(new)
    writers = await writers_of(somebody, alias)
    cluster = cluster_of(somebody)
    stop = asyncio.Event()
    others = [asyncio.create_task(writer.write_until(stop)) for writer in writers]
    planned = await plan_into(cluster, alias, new, SETTINGS, WORDS, text=FIELDS)
    await create_new(cluster, planned)
    job = IntoJob(cluster, planned, ENCODER, IngestSettings())
    await job.run()
    for writer in writers:
        writer.whole = not block_writes
    report = await switch(cluster, planned, job, block_writes=block_writes)
    before = [writer.writes for writer in writers]
    await until(lambda: all(writer.writes > count for writer, count in zip(writers, before, strict=True)))  # to the new
    stop.set()
    await asyncio.gather(*others)
    somebody.send("POST", f"/{new}/_refresh")
    found = somebody.send("POST", f"/{new}/_search", {"size": MOST})["hits"]["hits"]
    for writer in writers:
        await writer.close()

    refused = [reason for writer in writers for reason in writer.refused]
    assert [reason for reason in refused if "cluster_block_exception" not in reason] == []
    assert block_writes or not refused
    assert report.failed == 0
    assert list(somebody.send("GET", f"/{alias}/_mapping")) == [new]
    assert {
        hit["_id"]: {key: value for key, value in hit["_source"].items() if not key.startswith("passages")}
        for hit in found
    } == final_of(writers)
    for hit in found:  # what the application wrote whole since then has none of ours
        if "passages_of" in hit["_source"]:
            texts = {field: hit["_source"][field] for field in FIELDS if hit["_source"].get(field)}
            ((passages, marker),) = build_passages(planned.fill, [(hit["_id"], texts)], ENCODER.token_offsets)
            if hit["_source"]["passages_of"][-1] == marker:
                assert [passage["text"] for passage in hit["_source"]["passages"]] == [
                    passage.text for passage in passages
                ]
