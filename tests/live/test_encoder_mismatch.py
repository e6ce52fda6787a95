"""Vectors of another encoder are never mixed into an index, nor compared with it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.indices.scratch import drop, unique_name

from connector.clusters.connect import connect
from connector.errors import EncoderMismatch
from connector.ingest.job import run_job
from connector.models.encoder import Encoder
from connector.schema import EncoderFingerprint, Fields
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings
from connector.types import Vector, Vectors
from connector.wiring import build_schema, build_searcher, open_index


class Renamed:
    """The encoder under another fingerprint."""

    queries_at_once = 1

    def __init__(self, encoder: Encoder, fingerprint: EncoderFingerprint) -> None:
        self.fingerprint = fingerprint
        self._encoder = encoder

    def encode(self, texts: list[str]) -> Vectors:
        return self._encoder.encode(texts)

    def encode_query(self, text: str) -> Vector:
        return self._encoder.encode_query(text)

    def token_offsets(self, texts: list[str]) -> list[list[tuple[int, int]]]:
        return self._encoder.token_offsets(texts)


@pytest.fixture
async def settings(store: ClusterSettings, encoder: Encoder) -> AsyncIterator[Settings]:
    """Settings of an index that an encoder with other weights has written."""
    name = unique_name()
    settings = load_settings(environ={}, overrides={"cluster.url": store.url, "index.name": name})
    cluster = await connect(store)
    other = replace(encoder.fingerprint, name="other-model", sha256="ffff" * 16)
    await cluster.create_index(name, build_schema(settings, Fields({"text": 1.0}), other))
    await cluster.close()
    yield settings
    await drop(store, name)


async def test_writing_is_refused(settings: Settings, encoder: Encoder, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps({"_id": "1", "text": "a row"}) + "\n")

    with pytest.raises(
        EncoderMismatch, match=r"holds vectors of other-model@ffff.*configured encoder is all-MiniLM-L6-v2@53aa"
    ):
        await run_job(str(source), settings, rejects=tmp_path / "rejects.jsonl")
    cluster = await connect(settings.cluster)
    counted = await cluster.count(settings.index.name)
    await cluster.close()
    assert counted == 0


async def test_querying_is_refused(settings: Settings, encoder: Encoder) -> None:
    cluster = await connect(settings.cluster)
    index = await open_index(cluster, settings)
    try:
        with pytest.raises(EncoderMismatch, match=r"set encoder.model to the index's encoder, or write a new index"):
            build_searcher(index, encoder, {}, settings)
        same = replace(encoder.fingerprint, name="a copy", sha256="ffff" * 16)
        build_searcher(index, Renamed(encoder, same), {}, settings)  # the weights count, not the name
    finally:
        await cluster.close()
