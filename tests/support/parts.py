"""Real parts that are small enough for unit tests: an encoder, a scorer, a loopback server, rankings in one line."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import uvicorn
from support.indices.schemas import MADE

from connector.listening import bind
from connector.models.cross_encoder import CrossEncoderPlan
from connector.models.model import Piece
from connector.models.scorer import QueryWeights, Scorer
from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings
from connector.types import Document, Hit, Passage, Ranking, Vector, Vectors

WORD = re.compile(r"\S+")


def ranking(*hits: tuple[str, float] | str) -> Ranking:
    """A ranking of (doc_id, score), or of doc ids alone with falling scores."""
    return tuple(
        Hit(hit, float(len(hits) - position)) if isinstance(hit, str) else Hit(*hit)
        for position, hit in enumerate(hits)
    )


def passage(doc_id: str, ordinal: int = 0, text: str = "") -> Passage:
    return Passage(doc_id, ordinal, text or f"text {ordinal} of {doc_id}")


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.doc_id for hit in hits]


class HashEncoder:
    """Unit vectors made of the words' hashes: the same text always has the same vector. A token is a word."""

    queries_at_once = 1

    def __init__(self, dims: int = 16, max_tokens: int = 12) -> None:
        self.fingerprint = EncoderFingerprint("hash", "0" * 64, dims, max_tokens)
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.encoded.extend(texts)
        return np.array([self.encode_query(text) for text in texts], dtype=np.float32).reshape(len(texts), -1)

    def encode_query(self, text: str) -> Vector:
        total = np.zeros(self.fingerprint.dims, dtype=np.float32)
        for word in WORD.findall(text.lower()) or [""]:
            total += _word_vector(word, self.fingerprint.dims)
        return total / np.linalg.norm(total)

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[match.span() for match in WORD.finditer(text)] for text in texts]


@functools.lru_cache(maxsize=100_000)
def _word_vector(word: str, dims: int) -> Vector:
    seed = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest())
    return np.random.default_rng(seed).standard_normal(dims).astype(np.float32)


class Gate:
    """Holds a scorer before each passage while it is closed. The warm-up of a worker needs an open one."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        if is_open:
            self.open.set()

    def __call__(self) -> None:
        self.entered.set()
        assert self.open.wait(120)


class OverlapScorer(Scorer):
    """Scores a passage by the share of the query's words in it. `before_batch` is called for every passage."""

    kind = "cross-encoder"
    name = "overlap"
    fingerprint = "overlap@1"
    max_length = 512

    max_batch_tokens = 1  # so that each passage is a batch of its own

    def __init__(self, before_batch: Callable[[], None] = lambda: None) -> None:
        self.before_batch = before_batch
        self.scored = 0
        self.weights: QueryWeights | None = None
        self.scope = ""

    def plan(
        self, query: str, passages: Sequence[str], *, weights: QueryWeights | None = None, scope: str = ""
    ) -> CrossEncoderPlan:
        self.weights = weights
        self.scope = scope
        pieces = [Piece(1, (query, text)) for text in passages]
        truncated = tuple(position for position, text in enumerate(passages) if len(text) > 1_000)
        return CrossEncoderPlan(pieces, (1,) * len(pieces), truncated, len(query) > 1_000)

    def run(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self.before_batch()
            query, text = piece.content
            words = set(query.lower().split())
            piece.result = len(words & set(text.lower().split())) / len(words)
            self.scored += 1


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """An ASGI application on a free port of the loopback; its URL."""
    listener = bind("127.0.0.1", 0, choose="worker.port")
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=2))
    with running_in_thread(server, listener) as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def running_in_thread(server: uvicorn.Server, listener: socket.socket) -> Iterator[int]:
    """A server that serves in a thread until the block ends, or before it where it is told to exit; its port."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the server ended while it started"
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(timeout=120)
        listener.close()
        assert not thread.is_alive(), "the server did not end"


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 120.0) -> None:
    """Return as soon as the condition holds; fail where it never does. A longer wait costs nothing when all is well,
    and a machine that others keep busy may stand still for seconds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


async def until(condition: Callable[[], bool], *, timeout_s: float = 120.0) -> None:
    """The same for what comes true in this event loop."""
    end = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it never came true"
        await asyncio.sleep(0.001)


def schema_of(encoder: HashEncoder, *, overlap_tokens: int = 3, max_tokens: int = 0, **fields: Any) -> IndexSchema:
    """The schema of an index for the encoder; title and text unless `fields` says otherwise."""
    return IndexSchema(
        fields=Fields(**({"text": {"title": 1.0, "text": 1.0}} | fields)),
        encoder=encoder.fingerprint,
        **MADE | {"passages": PassageSettings(max_tokens, overlap_tokens)},
        dims=encoder.fingerprint.dims,
    )


def document(doc_id: str = "d", **fields: Any) -> Document:
    return Document(doc_id, fields)
