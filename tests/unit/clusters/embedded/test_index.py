"""The embedded store's index: what is written, found, counted and read again; what all clusters share is in
tests/contract."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.indices.embedded_documents import ENCODER, METADATA, NASTY, indexed, schema
from support.indices.schemas import VECTORS

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import ClusterError, IndexExists, IndexMissing, SettingsError
from connector.lexical import LexicalQuery
from connector.schema import IndexSchema


def test_ids_with_quotes_are_fetched_and_removed(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def work() -> tuple[dict[str, Any], int]:
        cluster = await EmbeddedCluster.open(tmp_path)
        made = await cluster.create_index("docs", schema())
        await made.write([indexed(doc_id, "word") for doc_id in NASTY if doc_id != "\x00"])
        fetched = await made.get(["it's", "'", "absent"], fields=None, timeout_s=10)
        await made.remove(["it's", "'", "absent"])
        return fetched, await cluster.count("docs")

    fetched, left = runner.run(work())

    assert sorted(fetched) == ["'", "it's"]
    assert left == len(NASTY) - 3


def test_writing_again_replaces_a_document_with_its_passages(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def work() -> Any:
        cluster = await EmbeddedCluster.open(tmp_path)
        made = await cluster.create_index("docs", schema(metadata={"extra": "stored"}))
        await made.write([indexed("a", "old text", passages=["old", "text"], extra={"n": [1]})])
        await made.write([indexed("a", "new", extra=["é"])])
        hits = await made.dense(ENCODER.encode_query("new"), depth=5, filter=None, timeout_s=10)
        return hits, await made.get(["a"], fields=None, timeout_s=10)

    hits, fetched = runner.run(work())

    assert [passage.passage_id for passage in hits[0].passages] == ["a#0"]
    assert fetched == {"a": {"text": "new", "extra": ["é"]}}


def test_the_dense_leg_brings_the_nearest_passages_and_the_cosine(runner: asyncio.Runner, tmp_path: Path) -> None:
    texts = ["red fish", "blue bird", "green frog", "grey mouse"]

    async def work() -> Any:
        cluster = await EmbeddedCluster.open(tmp_path)
        made = await cluster.create_index("docs", schema())
        await made.write([indexed("a", "animals", passages=texts)])
        return await made.dense(ENCODER.encode_query("blue bird"), depth=5, filter=None, timeout_s=10, passages=3)

    (hit,) = runner.run(work())

    cosines = ENCODER.encode(texts) @ ENCODER.encode_query("blue bird")
    assert [passage.ordinal for passage in hit.passages] == np.argsort(-cosines)[:3].tolist()
    assert hit.score == pytest.approx(1.0)


def test_term_statistics_count_documents_by_stem_and_leave_out_stop_words(
    runner: asyncio.Runner, tmp_path: Path
) -> None:
    async def work() -> Any:
        cluster = await EmbeddedCluster.open(tmp_path)
        made = await cluster.create_index("docs", schema())
        before = await made.term_statistics("fish", timeout_s=10)
        await made.write([indexed("a", "Fishes fish fishing"), indexed("b", "one fish"), indexed("c", "bird")])
        await made.finish()
        return before, await made.term_statistics("fish, the bird? whale", timeout_s=10)

    before, after = runner.run(work())

    assert (before.documents, before.terms) == (0, ())
    assert after.documents == 3
    assert [(term.start, term.end, term.frequency) for term in after.terms] == [(0, 4, 2), (10, 14, 1), (16, 21, 0)]


def test_what_is_not_there_or_there_already_is_told(runner: asyncio.Runner, tmp_path: Path) -> None:
    cluster = runner.run(EmbeddedCluster.open(tmp_path))
    runner.run(cluster.create_index("docs", schema()))

    with pytest.raises(IndexExists, match="exists already"):
        runner.run(cluster.create_index("docs", schema()))
    with pytest.raises(IndexMissing, match="connector index create"):
        runner.run(cluster.open_index("other"))
    with pytest.raises(IndexMissing):
        runner.run(cluster.drop_index("other"))


def test_the_schema_comes_back_with_the_index(runner: asyncio.Runner, tmp_path: Path) -> None:
    made = schema(metadata=METADATA)

    async def work() -> IndexSchema:
        cluster = await EmbeddedCluster.open(tmp_path)
        await cluster.create_index("docs", made)
        return (await cluster.open_index("docs")).schema

    assert runner.run(work()) == made


def test_a_file_in_place_of_the_folder_is_told(runner: asyncio.Runner, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")

    with pytest.raises(ClusterError, match="cannot open the embedded store"):
        runner.run(EmbeddedCluster.open(tmp_path / "store"))


def test_an_approximate_vector_index_is_refused(runner: asyncio.Runner, tmp_path: Path) -> None:
    from dataclasses import replace

    cluster = runner.run(EmbeddedCluster.open(tmp_path))

    with pytest.raises(SettingsError, match="searches exactly"):
        runner.run(cluster.create_index("docs", replace(schema(), vectors=replace(VECTORS, index="hnsw"))))


TEXTS = {
    "letters": "The mu\u0308hle beside the hyper\u00adbaric cham\u200bber.",
    "long": "c9c8eb8fa9d1b03bcf0b61ac478a66ed91a224bde86ade4297065c0d3cc5b3ca is the checksum",
    "zh": "冷库的温度每天早上记录一次。",
    "ja": "温度計は毎朝点検します。",
    "ko": "문서를 매일 검색합니다",
    "th": "เครื่องวัดอุณหภูมิต้องตรวจสอบทุกเช้า",
    "other-zh": "花园里的水泵在冬天要关闭。",
    "other-th": "ปิดปั๊มน้ำในสวนช่วงฤดูหนาว",
}


@pytest.fixture(scope="module")
def many_scripts(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedIndex:
    async def work() -> EmbeddedIndex:
        cluster = await EmbeddedCluster.open(tmp_path_factory.mktemp("scripts"))
        made = await cluster.create_index("docs", schema())
        await made.write([indexed(doc_id, text) for doc_id, text in TEXTS.items()])
        await made.finish()
        return made

    return runner.run(work())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("m\u00fchle", ["letters"]),
        ("MU\u0308HLE", ["letters"]),
        ("hyperbaric", ["letters"]),
        ("chamber", ["letters"]),
        ("cham\u00adber", ["letters"]),
        ("c9c8eb8fa9d1b03bcf0b61ac478a66ed91a224bde86ade4297065c0d3cc5b3ca", ["long"]),
        ("温度", ["ja", "zh"]),
        ("温度計", ["ja", "zh"]),
        ("冷库", ["zh"]),
        ("水泵", ["other-zh"]),
        ("水", ["other-zh"]),
        ("点検", ["ja"]),
        ("검색", ["ko"]),
        ("อุณหภูมิ", ["th"]),
    ],
)
def test_words_of_every_script_and_length_are_found(
    runner: asyncio.Runner, many_scripts: EmbeddedIndex, query: str, found: list[str]
) -> None:
    hits = runner.run(many_scripts.lexical(LexicalQuery(query), depth=10, filter=None, timeout_s=10)).ranking

    assert sorted(hit.doc_id for hit in hits) == found
    assert all(hit.passages for hit in hits)


def test_the_text_stays_what_the_source_had(runner: asyncio.Runner, many_scripts: EmbeddedIndex) -> None:
    fields = runner.run(many_scripts.get(["letters"], fields=None, timeout_s=10))

    assert fields == {"letters": {"text": TEXTS["letters"]}}
