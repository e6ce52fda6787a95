"""What the real path says of a collection's queries: both legs, and what each reranker scores of the window. Kept in a
file, so that a further reranker or order needs nothing of it again."""

from __future__ import annotations

import asyncio
import pickle
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from quality import STORE, console, ingest, settings_for
from rich.progress import track

from connector.evaluation.files.datasets import Collection, read_collection
from connector.evaluation.searchers import Opened, open_searchers
from connector.lexical import LexicalQuery
from connector.models.files import short_name
from connector.remote.process import running_worker
from connector.rerankers.worker import WorkerClient
from connector.search.fusion import fuse
from connector.search.stages.order import blend, whole_order
from connector.search.stages.pairs import best_passages, select_pairs
from connector.settings.sections import Settings
from connector.tuning.offline import Material, WindowScores
from connector.types import Hit, Ranking, SearchRequest
from connector.wiring import load_encoder, open_cluster

ENCODER = "all-MiniLM-L6-v2"
PASSAGE_TOKENS = 256  # what all-MiniLM-L6-v2 takes: passages of every encoder are the same
DEPTH = 10_000  # of a leg that is asked for everything
SCORES_S = 600.0
LegScores = Mapping[str, Mapping[str, float]]  # leg -> doc_id -> score


@dataclass(frozen=True, slots=True)
class Signals:
    """All that is known of a query. `asked`: what the legs say of the documents of the window, also of those that are
    not among their hits."""

    material: Material
    asked: LegScores


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file holds: the signals of each query, and how many documents the index had."""

    signals: Mapping[str, Signals]
    documents: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """A collection with the signals of its queries, by an encoder; `documents`: how many its index holds."""

    collection: Collection
    settings: Settings
    signals: Mapping[str, Signals]
    documents: int

    @property
    def material(self) -> dict[str, Material]:
        return {query_id: known.material for query_id, known in self.signals.items()}


def encoder_settings(folder: Path, encoder: str, store: str, given: Sequence[str] = ()) -> Settings:
    """Those of the index of a folder by an encoder; by the default one it is bench-NAME, as bench-quality leaves it."""
    if encoder == ENCODER:
        return settings_for(folder, store, given)
    index = f"{settings_for(folder, store).index.name}-{re.sub(r'[^a-z0-9]+', '-', short_name(encoder).lower())}"
    own = [f"index.name={index}", f"encoder.model={encoder}", f"passages.max_tokens={PASSAGE_TOKENS}"]
    return settings_for(folder, store, [*own, *given])


class Rerankers:
    """Workers, one for each reranker that is asked: NAME or NAME@BACKEND."""

    def __init__(self, stack: ExitStack) -> None:
        """They run until the stack ends."""
        self._stack = stack
        self._urls: dict[str, str] = {}

    def url(self, name: str) -> str:
        """Where it listens; started at the first time."""
        if name not in self._urls:
            model, _, backend = name.partition("@")
            sets = {"worker.backend": backend or "exact", "worker.cache_bytes": "4000000000"}
            arguments = [part for path, value in sets.items() for part in ("--set", f"{path}={value}")]
            worker = running_worker(["--reranker", model, *arguments], own_settings=True)
            self._urls[name] = self._stack.enter_context(worker).url
        return self._urls[name]


def gather(
    folder: Path,
    encoder: str,
    names: Sequence[str],
    rerankers: Rerankers,
    *,
    store: str = STORE,
    keep: Path | None = None,
) -> Gathered:
    """The signals of a folder's queries, with the scores of the rerankers that are named. What a file in `keep` has of
    them is taken from it."""
    collection = read_collection(folder)
    settings = encoder_settings(folder, encoder, store)
    file = keep / f"{folder.name}.{short_name(encoder)}.pickle" if keep else None
    kept = pickle.loads(file.read_bytes()) if file and file.exists() else None
    if kept is None:
        settings = encoder_settings(folder, encoder, store, [f"rerankers.local.url={rerankers.url(names[0])}"])
        ingest(folder, settings)
        kept = Kept(asyncio.run(_search(collection, settings)), asyncio.run(_count(settings)))
        _write(file, kept)
    for name in names:
        if any(name not in known.material.scores for known in kept.signals.values()):
            signals = asyncio.run(_score(collection, settings, kept.signals, name, rerankers.url(name)))
            kept = Kept(signals, kept.documents)
            _write(file, kept)
    return Gathered(collection, settings, kept.signals, kept.documents)


def final_order(
    known: Signals, reranker: str, weights: Mapping[str, float], settings: Settings, *, asked: bool = False
) -> Ranking:
    """The answer. A hit that a leg did not return counts there as the last one, or with `asked` by its score."""
    found, scores = known.material.first_stage, known.material.scores[reranker].by_text
    fused, stage = fuse(found.legs, settings.search.legs, settings.search.fusion), settings.first_stage
    window = fused[: stage.window]
    pairs = select_pairs(window, passages=stage.passages, max_pairs=stage.max_pairs)
    reranked = best_passages(pairs, [scores[passage.text] for passage in pairs])
    legs = {name: _ranked(own) for name, own in known.asked.items()} if asked else found.legs
    return whole_order(blend(window, legs, reranked, weights), fused)


def _ranked(scores: Mapping[str, float]) -> Ranking:
    return tuple(sorted((Hit(*item) for item in scores.items()), key=lambda hit: (-hit.score, hit.doc_id)))


def _write(file: Path | None, kept: Kept) -> None:
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(kept))


async def _search(collection: Collection, settings: Settings) -> dict[str, Signals]:
    """Each query through both legs, with the weights of its words."""
    encoder, vectors = load_encoder(settings), await _vectors(settings)
    made = {}
    async with open_searchers([settings]) as (opened,):
        for query in track(collection.queries, f"searching {collection.name}", console=console):
            found = await opened.searcher.first_stage(SearchRequest(query.text))
            assert not found.degraded, found.degraded
            window = _window(found.legs, settings)
            words = {hit.doc_id: hit.score for hit in await _all_lexical(opened, query.text)}
            vector = encoder.encode_query(query.text)
            asked = {
                "lexical": {hit.doc_id: words.get(hit.doc_id, 0.0) for hit in window},
                "dense": {hit.doc_id: float(np.max(vectors[hit.doc_id] @ vector)) for hit in window},
            }
            made[query.query_id] = Signals(Material(found, {}), asked)
    return made


async def _score(
    collection: Collection, settings: Settings, signals: Mapping[str, Signals], reranker: str, url: str
) -> dict[str, Signals]:
    """The signals with what one more reranker says of the windows."""
    made = {}
    stage = settings.first_stage
    limits = {"passages": stage.passages, "max_pairs": stage.max_pairs}
    async with _client(url) as client:
        for query in track(collection.queries, f"reranking {collection.name} by {reranker}", console=console):
            known = signals[query.query_id]
            found = known.material.first_stage
            texts = [passage.text for passage in select_pairs(_window(found.legs, settings), **limits)]
            weights = found.weights.get(str(stage.reranker))
            given = await client.score(found.query, texts, weights=weights, timeout_s=SCORES_S)
            assert not given.unscored, given.unscored
            scores = WindowScores(dict(zip(texts, given.values.tolist(), strict=True)), given.kind)
            made[query.query_id] = Signals(Material(found, {**known.material.scores, reranker: scores}), known.asked)
    return made


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[WorkerClient]:
    client = WorkerClient(url)
    try:
        yield client
    finally:
        await client.close()


def _window(legs: Mapping[str, Ranking], settings: Settings) -> Ranking:
    return fuse(legs, settings.search.legs, settings.search.fusion)[: settings.first_stage.window]


async def _all_lexical(opened: Opened, query: str) -> Ranking:
    """Every document in which a word of the query stands."""
    asked = LexicalQuery(query)
    answer = await opened.index.lexical(asked, depth=DEPTH, filter=None, timeout_s=SCORES_S, passages=0)
    return answer.ranking


async def _count(settings: Settings) -> int:
    cluster = await open_cluster(settings)
    try:
        return await cluster.count(settings.index.name)
    finally:
        await cluster.close()


async def _vectors(settings: Settings) -> dict[str, NDArray[np.float32]]:
    """doc_id -> the vectors of its passages [n, dims], as the embedded store has them."""
    import lancedb  # after the package has imported it, which takes it a third of the time

    store = await lancedb.connect_async(settings.cluster.url.removeprefix("embedded:"))
    rows = await (await store.open_table(settings.index.name)).query().select(["doc_id", "vectors"]).to_arrow()
    return {
        doc_id: np.asarray(vectors, dtype=np.float32)
        for doc_id, vectors in zip(rows["doc_id"].to_pylist(), rows["vectors"].to_pylist(), strict=True)
    }
