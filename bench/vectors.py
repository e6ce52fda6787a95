"""What each way to keep vectors costs and finds, on each engine: disk, memory, time to ingest, time of a search, recall
at 100 and 10 against the exact neighbours; and what the forms in which a vector can be sent cost.

    make bench-vectors DATA=FOLDER:100:10000            # starts each engine in turn, 10,000 documents, 100 queries
    make bench-vectors DATA=FOLDER:100:10000 CLUSTER=http://localhost:9200

DATA is a folder in BEIR's layout, or a seeded part of one: FOLDER:QUERIES:DOCUMENTS. Each document is one passage, the
beginning of its text; its vector is the default encoder's, and is kept in the temporary folder, so that a second run
encodes nothing. Each choice gets an index of its own, written by two bulk requests at once as an ingest does, refreshed
and merged to one segment. Recall is that of the dense leg as searches ask it. "engine CPU" is the processor time of the
engine's process, which other load on the machine changes least. A choice that the cluster cannot have is left out, and
it is said why."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from forms import measure_forms, print_forms
from machine import print_result
from parts import part_of
from rich.console import Console
from rich.table import Table

from connector import event_loop
from connector.clusters.connect import connect
from connector.clusters.indices.vector_choices import choose, read_choices
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import RestIndex
from connector.errors import IndexMissing, SettingsError
from connector.evaluation.files.datasets import read_collection
from connector.ingest.sources import open_source
from connector.models.encoder import Encoder
from connector.schema import EncoderFingerprint, Fields, IndexSchema
from connector.settings.sections import ClusterSettings, Settings
from connector.types import Document, IndexedDocument, Passage, Vectors
from connector.wiring import build_schema, load_encoder

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))
ENGINES = (("elasticsearch", "8.19.8"), ("elasticsearch", "9.3.2"), ("opensearch", "2.19.1"), ("opensearch", "3.6.0"))
DEPTH = 100
GROUP = 256  # documents of one write, as in an ingest
WRITERS = 2
TIMEOUT_S = 600.0
CPU_IS_AS_OLD_S = 1.1  # a node looks at its own process once a second
console = Console(stderr=True, highlight=False, markup=False)


@dataclass(frozen=True, slots=True)
class Material:
    """Documents of one passage each, their vectors [n, dims], and those of the queries."""

    documents: Sequence[IndexedDocument]
    vectors: Vectors
    queries: Vectors
    encoder: EncoderFingerprint

    @property
    def dims(self) -> int:
        return int(self.vectors.shape[1])

    def nearest(self, count: int) -> list[set[str]]:
        """The ids of the exact nearest documents of each query."""
        order = np.argsort(-(self.queries @ self.vectors.T), axis=1, kind="stable")[:, :count]
        return [{self.documents[at].document.doc_id for at in row} for row in order]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", nargs="?", default=f"{ROOT / 'examples' / 'corpus'}", help="FOLDER[:QUERIES[:DOCUMENTS]]"
    )
    parser.add_argument("--cluster", nargs="+", help="measure these instead of starting engines")
    parser.add_argument(
        "--engines", nargs="+", default=[" ".join(engine) for engine in ENGINES], help="'KIND VERSION' ..."
    )
    parser.add_argument("--choices", nargs="+", help="these alone, and auto's")
    parser.add_argument("--chars", type=int, default=300, help="of a document's text")
    parser.add_argument(
        "--form-documents", type=int, default=2_000, help="for the forms of a vector; 0: leave them out"
    )
    parser.add_argument("--index", default="bench-vectors", help="is made for each choice, and dropped")
    options = parser.parse_args()
    material = read_material(part_of(options.data), options.chars)
    results: dict[str, Any] = {}
    forms: dict[str, Any] = {}
    for url in urls(options):
        name, rows, sent = event_loop.run(measure(url, material, options))
        results[name], forms[name] = rows, sent
        print_table(name, rows, material)
        print_forms(name, sent)
    signs = recall_of_signs(material)
    print_result(
        {
            "bench": "vectors",
            "documents": len(material.documents),
            "dims": material.dims,
            "engines": results,
            "forms": forms,
            "signs_alone": signs,
        }
    )


def urls(options: argparse.Namespace) -> Iterator[str]:
    """Of the clusters that are given, or of engines that are started one after the other."""
    if options.cluster:
        yield from options.cluster
        return
    for engine in options.engines:
        with started(*engine.split()) as url:
            yield url


@contextmanager
def started(kind: str, version: str) -> Iterator[str]:
    import engines

    console.print(f"starting {kind} {version}")
    server = engines.start(kind, version, heap="1g")
    try:
        yield server["url"]
    finally:
        engines.stop(server)


def read_material(folder: Path, chars: int) -> Material:
    collection = read_collection(folder)
    texts = {}
    for row in open_source(str(folder)):
        text = " ".join(str(row.values.get(name) or "") for name in ("title", "text")).strip()
        if text:
            texts[str(row.values["_id"])] = text[:chars]
    encoder = load_encoder(Settings())
    vectors = encoded(encoder, list(texts.values()))
    queries = np.stack([encoder.encode_query(query.text) for query in collection.queries])
    documents = [
        IndexedDocument(Document(doc_id, {"text": text}), "", (Passage(doc_id, 0, text),), vector[None])
        for (doc_id, text), vector in zip(texts.items(), vectors, strict=True)
    ]
    return Material(documents, vectors, queries, encoder.fingerprint)


def encoded(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """The vectors of the texts, from the temporary folder where they were made before."""
    name = hashlib.sha256("\0".join([encoder.fingerprint.sha256, *texts]).encode()).hexdigest()[:16]
    file = Path(tempfile.gettempdir()) / "connector-bench-vectors" / f"{name}.npy"
    if not file.exists():
        console.print(f"encoding {len(texts):,} passages")
        file.parent.mkdir(exist_ok=True)
        np.save(file, encoder.encode(texts))
    vectors: Vectors = np.load(file)
    return vectors


def schema_of(material: Material, choice: str) -> IndexSchema:
    schema = build_schema(Settings(), Fields({"text": 1.0}), material.encoder)
    return replace(schema, vectors=replace(schema.vectors, index=choice))


async def measure(
    url: str, material: Material, options: argparse.Namespace
) -> tuple[str, dict[str, dict[str, float]], dict[str, Any]]:
    """The engine's name, what was seen of each choice, and of each form of a vector."""
    cluster = await connect(ClusterSettings(url=url, timeout_s=TIMEOUT_S))
    assert isinstance(cluster, RestCluster)
    name = str(cluster.engine)
    rows: dict[str, dict[str, float]] = {}
    try:
        auto = choose(cluster.engine, schema_of(material, "auto").vectors, material.dims).name
        for choice in read_choices(cluster.engine.kind):
            if options.choices and choice not in {*options.choices, auto}:
                continue
            try:
                rows[choice] = await measure_choice(cluster, choice, material, options.index)
                rows[choice]["auto"] = float(choice == auto)
                console.print("  " + ", ".join(f"{key} {value:.3g}" for key, value in rows[choice].items()))
            except SettingsError as error:
                console.print(f"{name}: left out: {str(error)[:160]}")
        count = options.form_documents
        sent = await measure_forms(cluster, schema_of(material, auto), material.documents[:count], options.index)
    finally:
        with suppress(IndexMissing):
            await cluster.drop_index(options.index)
        await cluster.close()
    return name, rows, sent


async def measure_choice(cluster: RestCluster, choice: str, material: Material, name: str) -> dict[str, float]:
    with suppress(IndexMissing):
        await cluster.drop_index(name)
    index = await cluster.create_index(name, schema_of(material, choice))
    console.print(f"{cluster.engine}: {choice}")
    began_cpu = await engine_cpu_s(cluster)
    began = time.perf_counter()
    await write_all(index, material.documents)
    written = time.perf_counter()
    await ask(cluster, "POST", f"/{name}/_forcemerge", {"max_num_segments": "1"})
    await index.finish()
    merged = time.perf_counter()
    merged_cpu = await engine_cpu_s(cluster)
    seen = await search_all(cluster, index, material)
    store = await ask(cluster, "GET", f"/{name}/_stats/store")
    vectors = len(material.vectors)
    bits = read_choices(cluster.engine.kind)[choice].bits
    return {
        "disk_mb": store["indices"][name]["primaries"]["store"]["size_in_bytes"] / 1e6,
        "memory_mb": vectors * material.dims * bits / 8 / 1e6,
        "write_s": written - began,
        "merge_s": merged - written,
        "ingest_cpu_s": merged_cpu - began_cpu,
    } | seen


async def write_all(index: RestIndex, documents: Sequence[IndexedDocument]) -> None:
    """All documents, in groups, so many requests at once; then they can be found."""
    groups = iter([documents[at : at + GROUP] for at in range(0, len(documents), GROUP)])

    async def work() -> None:
        for group in groups:
            outcomes = await index.write(group)
            assert all(outcome.error is None for outcome in outcomes), outcomes[0]

    await asyncio.gather(*(work() for _ in range(WRITERS)))
    await index.finish()


async def search_all(cluster: RestCluster, index: RestIndex, material: Material) -> dict[str, float]:
    """The dense leg for each query, one after the other."""
    exact, times, shares = material.nearest(DEPTH), [], []
    first_ten = material.nearest(10)
    for vector in material.queries[:10]:  # what the first searches load is not theirs
        await index.dense(vector, depth=DEPTH, filter=None, timeout_s=TIMEOUT_S)
    began_cpu, tens = await engine_cpu_s(cluster), []
    for vector, nearest, ten in zip(material.queries, exact, first_ten, strict=True):
        began = time.perf_counter()
        hits = await index.dense(vector, depth=DEPTH, filter=None, timeout_s=TIMEOUT_S, passages=0)
        times.append((time.perf_counter() - began) * 1e3)
        shares.append(len(nearest & {hit.doc_id for hit in hits}) / len(nearest))
        tens.append(len(ten & {hit.doc_id for hit in hits[:10]}) / len(ten))
    cpu_s = await engine_cpu_s(cluster) - began_cpu
    return {
        "recall@100": statistics.mean(shares),
        "recall@10": statistics.mean(tens),
        "search_ms": statistics.median(times),
        "search_cpu_ms": cpu_s * 1e3 / len(times),
    }


def recall_of_signs(material: Material) -> dict[str, float]:
    """What vectors of bits would find, compared by how many differ, without an engine's graph and without comparing
    again: why no choice is one."""
    documents, queries = (
        np.where(vectors > 0, 1, -1).astype(np.int32) for vectors in (material.vectors, material.queries)
    )
    order = np.argsort(-(queries @ documents.T), axis=1, kind="stable")
    found = {}
    for count in (DEPTH, 10):
        ids = [{material.documents[at].document.doc_id for at in row[:count]} for row in order]
        pairs = zip(ids, material.nearest(count), strict=True)
        found[f"recall@{count}"] = round(statistics.mean(len(has & exact) / len(exact) for has, exact in pairs), 4)
    return found


async def engine_cpu_s(cluster: RestCluster) -> float:
    """Processor seconds of all nodes so far."""
    await asyncio.sleep(CPU_IS_AS_OLD_S)
    reply = await ask(cluster, "GET", "/_nodes/stats/process")
    return sum(float(node["process"]["cpu"]["total_in_millis"]) for node in reply["nodes"].values()) / 1e3


async def ask(cluster: RestCluster, method: str, path: str, params: dict[str, str] | None = None) -> dict[str, Any]:
    return await cluster.client.request(method, path, params=params, timeout_s=TIMEOUT_S)


def print_table(name: str, rows: dict[str, dict[str, float]], material: Material) -> None:
    table = Table(
        title=f"{name}: {len(material.documents):,} vectors of {material.dims} dimensions; auto is marked *",
        title_justify="left",
        show_edge=False,
    )
    columns = {
        "disk_mb": "disk MB",
        "memory_mb": "vectors in memory MB",
        "write_s": "write s",
        "merge_s": "merge s",
        "ingest_cpu_s": "engine CPU s",
        "recall@100": "recall@100",
        "recall@10": "recall@10",
        "search_ms": "search ms p50",
        "search_cpu_ms": "engine CPU ms",
    }
    table.add_column("")
    for title in columns.values():
        table.add_column(title, justify="right")
    for choice, found in rows.items():
        cells = [f"{found[key]:.{3 if 'recall' in key else 1}f}" for key in columns]
        table.add_row(choice + " *" * bool(found["auto"]), *cells)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
