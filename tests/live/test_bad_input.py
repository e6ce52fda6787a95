"""Input that nobody should send and everybody does, through whole jobs and searches on every store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.indices.scratch import is_engine

from connector.client import Connector
from connector.clusters.connect import connect
from connector.errors import FilterError, QueryError
from connector.ingest import job
from connector.models.encoder import Encoder
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, IngestSettings, Settings
from connector.types import Vector, Vectors

GOOD = [
    {"_id": "plain", "title": "Plain", "text": "A plain text.", "year": 2020},
    {"_id": "emoji", "title": "👩‍🚀🚀", "text": "To the moon 🌙 and back.", "year": 2021},
    {"_id": "rtl", "title": "مرحبا", "text": "שלום עולם, مرحبا بالعالم.", "year": 2022},
    {
        "_id": "control",
        "title": "Bell\u0007",
        "text": "Tab\tand\u0000null\u001b[31m and \u202e reversed.",
        "year": 2023,
    },
    {"_id": "i" * 512, "title": "Long id", "text": "An id of 512 bytes fits.", "year": 2024},
    {"_id": "../etc/passwd?x=1&y#z %2F", "title": "Odd id", "text": "Any characters make an id.", "year": 2025},
]
BAD = [  # a line of the file, and words of the reason that is kept with it
    (b'{"_id": "half", "text": ', "JSON"),
    (b'{"_id": "latin", "text": "caf\xe9"}', "UTF-8"),
    (b'["a", "list"]', "object"),
    (json.dumps({"_id": "empty", "title": " ", "text": "\n\t"}).encode(), "no text"),
    (json.dumps({"_id": "plain", "text": "Again."}).encode(), "repeats"),
    (json.dumps({"_id": "x" * 600, "text": "Too long an id."}).encode(), "600 bytes"),
    (json.dumps({"text": "No id."}).encode(), "no id"),
    (json.dumps({"_id": "year", "text": "A word for a number.", "year": "soon"}).encode(), "year"),
    (json.dumps({"_id": "pair", "text": "half a pair \ud800"}).encode(), "surrogate"),
    (json.dumps({"_id": "nan", "text": "NOT A NUMBER"}).encode(), "NaN"),
]
QUERIES = [
    "plain " * 3_000,
    "👩‍🚀",
    "مرحبا بالعالم",
    "\u0007\u001b[31m",
    "a\u0000b",
    'text:(plain AND "',
    "\u202e",
    "*",
    "?!",
]


class Spoilt:
    """The encoder, which has no vector for one text."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.fingerprint, self.token_offsets = encoder.fingerprint, encoder.token_offsets

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = self._encoder.encode(texts)
        vectors[["NOT A NUMBER" in text for text in texts]] = np.nan
        return vectors

    def encode_query(self, text: str) -> Vector:
        return self._encoder.encode_query(text)


def settings_of(store: ClusterSettings, name: str) -> Settings:
    fields: dict[str, Any] = {"fields.id": "_id", "fields.text": {"title": 1.0, "text": 1.0}}
    fields |= {"fields.metadata": {"year": "integer"}, "search.rerank": "off", "search.deadline_s": 120.0}
    return load_settings(environ={}, overrides={"cluster.url": store.url, "index.name": name} | fields)


async def test_every_line_ends_counted_and_any_query_is_answered(
    store: ClusterSettings, index_name: str, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of good and bad lines in turn; what fails is kept with its reason. A query is answered by both legs, or refused
    with a reason."""
    monkeypatch.setattr(job, "load_encoder", lambda settings: Spoilt(encoder))
    lines = [json.dumps(row).encode() for row in GOOD] + [line for line, _ in BAD]
    (tmp_path / "mixed.jsonl").write_bytes(b"\n".join(lines))
    rejects = tmp_path / "rejects.jsonl"
    report = await job.run_job(str(tmp_path / "mixed.jsonl"), settings_of(store, index_name), rejects=rejects)
    kept = [json.loads(line) for line in rejects.read_text().splitlines()]
    reasons = {reject["origin"]: reject["reason"] for reject in kept}

    assert (report.counts.read, report.counts.written, report.counts.failed) == (16, len(GOOD), len(BAD))
    assert (report.stopped, report.unfinished) == (None, 0)
    for number, (_, words) in enumerate(BAD, start=len(GOOD) + 1):
        assert words in reasons[f"mixed.jsonl:{number}"]

    await assert_stored(store, index_name)
    async with await Connector.open(settings_of(store, index_name)) as connector:
        await assert_answered(connector)


async def assert_stored(store: ClusterSettings, index_name: str) -> None:
    cluster = await connect(store)
    try:
        index = await cluster.open_index(index_name)
        stored = await index.get([str(row["_id"]) for row in GOOD], fields=None, timeout_s=30)
    finally:
        await cluster.close()

    assert {doc_id: fields["year"] for doc_id, fields in stored.items()} == {row["_id"]: row["year"] for row in GOOD}
    assert stored["emoji"]["title"] == "👩‍🚀🚀"
    assert stored["rtl"]["text"] == "שלום עולם, مرحبا بالعالم."


async def assert_answered(connector: Connector) -> None:
    for query in QUERIES:
        response = await connector.search(query)

        assert response.degraded == (), query[:20]
        assert response.hits, query[:20]
    found = {query: (await connector.search(query)).hits[0].doc_id for query in ("🌙 moon", "שלום", "long id")}

    assert found == {"🌙 moon": "emoji", "שלום": "rtl", "long id": "i" * 512}
    for empty in ("", " ", "\t\n", "\u3000"):
        with pytest.raises(QueryError, match="empty"):
            await connector.search(empty)
    with pytest.raises(QueryError, match="characters"):
        await connector.search("word " * 10_000)
    with pytest.raises(FilterError, match=r"did you mean 'year'"):
        await connector.search("plain", filter="yaer=2020")
    with pytest.raises(FilterError, match="year"):
        await connector.search("plain", filter="year=soon")


class Quick:
    """An encoder that takes no time: a token is a word, a vector is drawn from the text's length."""

    def __init__(self, encoder: Encoder) -> None:
        self.fingerprint = encoder.fingerprint

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self.encode_query(text) for text in texts])

    def encode_query(self, text: str) -> Vector:
        vector = np.random.default_rng(len(text)).standard_normal(self.fingerprint.dims).astype(np.float32)
        return vector / np.linalg.norm(vector)

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [list(zip(range(0, len(text), 5), range(4, len(text) + 4, 5), strict=True)) for text in texts]


async def test_a_document_of_megabytes_is_written_or_refused_but_stops_nothing(
    store: ClusterSettings, index_name: str, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten, since an engine with half a gigabyte of heap refuses it: the vectors of its passages are several times
    its size. The embedded store refuses none."""
    megabytes = 10 if is_engine(store) else 2
    monkeypatch.setattr(job, "load_encoder", lambda settings: Quick(encoder))
    rows = [*GOOD[:2], {"_id": "huge", "text": "abcd " * 200_000 * megabytes, "year": 1}, *GOOD[2:4]]
    (tmp_path / "huge.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = settings_of(store, index_name)
    settings = settings.model_copy(update={"ingest": IngestSettings(max_attempts=2)})
    report = await job.run_job(str(tmp_path / "huge.jsonl"), settings, rejects=tmp_path / "rejects.jsonl")

    assert report.stopped is None
    assert report.counts.written + report.counts.failed == 5
    assert report.counts.written >= (4 if is_engine(store) else 5)
    if report.counts.failed:
        (rejected,) = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]

        assert rejected["document"]["_id"] == "huge"
        assert rejected["reason"]
