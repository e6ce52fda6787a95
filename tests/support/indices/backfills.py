"""A back-fill without a model: an encoder of words that costs next to nothing, and the plan for an index of
somebody's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from connector.backfill.fields import BackfillPlan, put_fields
from connector.backfill.passages import build_passages
from connector.backfill.scan import FoundDocument, count_shards, find_work
from connector.backfill.write import PassageUpdate, write_updates
from connector.backfilled import AddedNames, Backfilled
from connector.clusters.protocol import ForeignFields
from connector.clusters.rest import RestCluster
from connector.schema import EncoderFingerprint, PassageSettings, VectorSettings
from connector.types import Vector, Vectors

DIMS = 8
WORDS = EncoderFingerprint("words", "0123456789abcdef", DIMS, 32)
HNSW = VectorSettings("hnsw", 16, 100)


class WordEncoder:
    """Each word points in a direction of its own; a text is the sum of its words. So it is known which texts are near
    to each other, and what a vector was made of."""

    queries_at_once = 1

    def __init__(self, fingerprint: EncoderFingerprint = WORDS) -> None:
        self.fingerprint = fingerprint

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self.encode_query(text) for text in texts]) if texts else np.zeros((0, self.fingerprint.dims))

    def encode_query(self, text: str) -> Vector:
        total = sum((_direction(word, self.fingerprint.dims) for word in re.findall(r"\w+", text.lower())), _zero(self))
        return (total / (np.linalg.norm(total) or 1.0)).astype(np.float32)

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[found.span() for found in re.finditer(r"\w+|[^\w\s]", text)] for text in texts]


class BrokenEncoder(WordEncoder):
    """One that makes no numbers of a text with the word "broken"."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.array(super().encode(texts))
        vectors[["broken" in text for text in texts]] = np.nan
        return vectors


# of another model than WORDS, with more dimensions
LONGER = WordEncoder(replace(WORDS, name="longer", sha256="fedcba9876543210", dims=12))


def _zero(encoder: WordEncoder) -> Vector:
    return np.full(encoder.fingerprint.dims, 1e-3, dtype=np.float32)


@lru_cache(100_000)
def _direction(word: str, dims: int) -> Vector:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest())
    return np.random.default_rng(seed).normal(size=dims).astype(np.float32)


async def plan_for(
    cluster: RestCluster, index: str, text: Mapping[str, float], encoder: EncoderFingerprint = WORDS
) -> BackfillPlan:
    """The plan for an index with these text fields."""
    opened = await cluster.open_index(index, ForeignFields(text))
    passages = PassageSettings(0, 4)
    return BackfillPlan(
        index=index,
        shards=await count_shards(cluster, index),
        added=Backfilled(encoder, dict(text), passages, AddedNames()),
        schema=opened.schema,
        vectors=HNSW,
        analyzer="standard",
    )


async def fill_index(cluster: RestCluster, plan: BackfillPlan, encoder: WordEncoder) -> None:
    """Everything that a back-fill does, where nobody else writes."""
    await put_fields(cluster, plan)
    for shard in range(plan.shards):
        found = [document async for document in find_work(cluster, plan, shard)]
        outcomes = await write_updates(cluster, plan, build_updates(plan, found, encoder))
        assert {outcome.kind for outcome in outcomes} <= {"written"}, outcomes
    await cluster.client.request("POST", f"/{plan.index}/_refresh", timeout_s=60)


def build_updates(plan: BackfillPlan, documents: Sequence[FoundDocument], encoder: WordEncoder) -> list[PassageUpdate]:
    built = build_passages(plan, [(found.doc_id, found.texts) for found in documents], encoder.token_offsets)
    return [
        PassageUpdate(found, passages, encoder.encode([passage.text for passage in passages]), marker)
        for found, (passages, marker) in zip(documents, built, strict=True)
    ]
