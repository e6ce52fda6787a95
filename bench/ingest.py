"""How fast an ingest is beside what it cannot be faster than, and how much memory it takes.

    make bench-ingest                                        # all three parts, small
    make bench-ingest DATA=FOLDER:0:400 ARGS="--parts encoder --rounds 3"
    make bench-ingest ARGS="--parts pipeline --documents 20000 --cluster http://localhost:9200 http://localhost:9201"
    make bench-ingest ARGS="--parts memory --sizes 10000 100000 1000000"

`encoder`: a job with the real encoder into the embedded store, against the same encoder given all the same passages in
one call; both in turn in each round, in one process. DATA is a folder in BEIR's layout, or a part of one.
`pipeline`: a job with an encoder that costs nothing, against `parallel_bulk` of the engine's own client, which is given
the same documents with vectors that are there already; into a sink that answers at once and is as strict as an engine,
and into the clusters that are given.
`memory`: such jobs into the sink, each a process of its own: the most memory that it had.

CPU is that of the writing process. On a machine with other load it is the figure to read, and of the clock the
ratio."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bulk_peers import parallel_bulk
from machine import print_result
from parts import part_of
from rich.console import Console
from rich.table import Table
from sink import running_sink

from connector import event_loop
from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster
from connector.errors import IndexMissing
from connector.ingest.documents import to_document
from connector.ingest.passages import cut
from connector.ingest.pipeline import IngestJob
from connector.ingest.report import JobReport
from connector.ingest.sources import Source, open_source
from connector.models.encoder import Encoder
from connector.schema import EncoderFingerprint, Fields, IndexSchema
from connector.settings.sections import ClusterSettings, Settings
from connector.types import Vector, Vectors
from connector.wiring import build_schema, load_encoder

ROOT = Path(__file__).parents[1]
PARTS = ("encoder", "pipeline", "memory")
FIELDS = Fields({"title": 1.0, "text": 1.0}, {"year": "integer"}, id="_id")
DIMS = 384
WORDS = [
    f"{first}{last}" for first in ("wind", "rain", "snow", "fog", "sun") for last in ("mill", "fall", "bow", "day")
]
SENTENCE_WORDS = 40
TOKENS = 256
console = Console(stderr=True, highlight=False, markup=False)
Figures = dict[str, float]


class FreeEncoder:
    """Costs nothing: hands out vectors that are there. A token is a word."""

    queries_at_once = 1

    def __init__(self) -> None:
        self.fingerprint = EncoderFingerprint("free", "0" * 64, DIMS, TOKENS)
        numbers = np.random.default_rng(5).standard_normal((1_000, DIMS)).astype(np.float32)
        self.table: Vectors = numbers / np.linalg.norm(numbers, axis=1, keepdims=True)

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.resize(self.table, (len(texts), DIMS))

    def encode_query(self, text: str) -> Vector:
        vector: Vector = self.table[0]
        return vector

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [list(zip(range(0, len(text), 6), range(5, len(text) + 6, 6), strict=False)) for text in texts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", nargs="?", default=str(ROOT / "examples" / "corpus"), help="FOLDER[:QUERIES[:DOCUMENTS]]"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--documents", type=int, default=10_000, help="of the part pipeline")
    parser.add_argument("--cluster", nargs="+", default=[], help="for the part pipeline, beside the sink")
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 100_000], help="of the part memory")
    parser.add_argument("--index", default="bench-ingest", help="is made for each job, and dropped")
    parser.add_argument("--one-job", nargs=2, metavar=("FILE", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_job:
        file, url = options.one_job
        event_loop.run(one_job(file, url, options.index))
        return
    result: dict[str, Any] = {"bench": "ingest", "rounds": options.rounds}
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        if "encoder" in options.parts:
            result["encoder"] = event_loop.run(measure_encoder(part_of(options.data), options.rounds, Path(folder)))
        if "pipeline" in options.parts:
            result["pipeline"] = measure_pipeline(options, Path(folder))
        if "memory" in options.parts:
            result["memory"] = measure_memory(options, Path(folder))
    print_result(result)


async def measure_encoder(folder: Path, rounds: int, work: Path) -> dict[str, Any]:
    """Passages a second, by the clock and by processor time, of the encoder alone and of whole jobs."""
    encoder, fields = load_encoder(Settings()), Fields({"title": 1.0, "text": 1.0}, id="_id")
    schema = build_schema(Settings(), fields, encoder.fingerprint)
    documents = [to_document(row, fields) for row in open_source(str(folder)) if not row.error]
    cuts = cut(documents, schema, max_tokens=encoder.fingerprint.max_tokens, token_offsets=encoder.token_offsets)
    texts = [passage.text for passages in cuts for passage in passages]
    encoder.encode(texts[:64])  # what the first call sets up is not its speed
    alone: list[Figures] = []
    jobs: list[Figures] = []
    for number in range(rounds):
        console.print(f"encoder: round {number + 1} of {rounds}, {len(texts):,} passages")
        began = clocks()
        await event_loop.in_own_thread(encoder.encode, texts)
        alone.append(since(began, len(texts)))
        cluster = await connect(ClusterSettings(url=f"embedded:{work / f'store-{number}'}"))
        began = clocks()
        report = await run(cluster, "docs", schema, open_source(str(folder)), encoder, work)
        jobs.append(since(began, report.counts.passages))
        await cluster.close()
        assert report.counts.passages == len(texts), report
    ways = {"encoder alone": alone, "ingest": jobs}
    print_ways(f"{len(documents):,} documents, {len(texts):,} passages, into the embedded store", ways, "passages")
    share = {key: median(job[key] for job in jobs) / median(figures[key] for figures in alone) for key in alone[0]}
    return {"documents": len(documents), "passages": len(texts), "share": share} | {
        name: {key: median(figures[key] for figures in found) for key in found[0]} for name, found in ways.items()
    }


def measure_pipeline(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Documents a second of jobs and of `parallel_bulk`, by target."""
    file = write_rows(work / "rows.jsonl", options.documents)
    found: dict[str, Any] = {}
    with running_sink() as sink:
        for url in (sink, *options.cluster):
            name, ways = event_loop.run(race(url, "sink" if url == sink else "", file, options))
            print_ways(f"{name}: {options.documents:,} documents of one passage", ways, "documents")
            found[name] = {
                way: {key: median(figures[key] for figures in all) for key in all[0]} for way, all in ways.items()
            }
    return found


async def race(url: str, called: str, file: Path, options: argparse.Namespace) -> tuple[str, dict[str, list[Figures]]]:
    cluster = await connect(ClusterSettings(url=url, timeout_s=600))
    encoder = FreeEncoder()
    schema = build_schema(Settings(), FIELDS, encoder.fingerprint)
    name = called or str(cluster.engine)
    peer = f"{'opensearch' if cluster.engine.kind == 'opensearch' else 'elasticsearch'}-py parallel_bulk"
    ways: dict[str, list[Figures]] = {"connector": [], peer: []}
    try:
        for number in range(options.rounds):
            console.print(f"pipeline: round {number + 1} of {options.rounds}, {name}")
            began = clocks()
            report = await run(cluster, options.index, schema, open_source(str(file)), encoder, file.parent)
            ways["connector"].append(since(began, report.counts.written))
            assert report.counts.written == options.documents, report
            await fresh(cluster, options.index)
            index = await cluster.create_index(options.index, schema)
            began = clocks()
            rows = file, encoder.table.tolist()
            written = await asyncio.to_thread(parallel_bulk, cluster.engine.kind, url, options.index, *rows)
            await index.finish()
            ways[peer].append(since(began, written))
            assert written == options.documents
            await fresh(cluster, options.index)
    finally:
        await fresh(cluster, options.index)
        await cluster.close()
    return name, ways


def measure_memory(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """The most memory that a job of each size had, and how fast it was."""
    found: dict[str, Any] = {}
    with running_sink() as url:
        for size in options.sizes:
            console.print(f"memory: {size:,} documents")
            file = write_rows(work / f"rows-{size}.jsonl", size)
            command = [sys.executable, __file__, "--index", f"memory-{size}", "--one-job", str(file), url]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[str(size)] = json.loads(done.stdout.splitlines()[-1])
            assert found[str(size)]["written"] == size
            file.unlink()
    table = Table(title="memory of a job into the sink", title_justify="left", show_edge=False)
    for title in ("documents", "MB at a tenth", "MB at the end", "most MB", "documents/s", "CPU ms a document"):
        table.add_column(title, justify="right")
    for size, seen in found.items():
        figures = (seen["tenth_mb"], seen["end_mb"], seen["most_mb"], seen["per_second"], seen["cpu_ms"])
        table.add_row(f"{int(size):,}", *(f"{figure:,.2f}" for figure in figures))
    Console(width=120).print(table)
    return found


async def one_job(file: str, url: str, index: str) -> None:
    """A job in this process, and what its memory was, as JSON."""
    cluster = await connect(ClusterSettings(url=url))
    encoder = FreeEncoder()
    source = open_source(file)
    seen: list[float] = []

    def watch(counts: Any) -> None:
        if not seen and counts.progress >= 0.1:
            seen.append(resident_mb())

    began = clocks()
    schema = build_schema(Settings(), FIELDS, encoder.fingerprint)
    report = await run(cluster, index, schema, source, encoder, Path(file).parent, watch)
    figures = since(began, report.counts.written)
    await cluster.close()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    found = {"written": report.counts.written, "tenth_mb": seen[0], "end_mb": resident_mb(), "most_mb": most}
    print(json.dumps(found | figures))


async def run(
    cluster: Cluster,
    index: str,
    schema: IndexSchema,
    source: Source,
    encoder: Encoder,
    work: Path,
    on_progress: Any = lambda counts: None,
) -> JobReport:
    """A job into an index that is made for it."""
    await fresh(cluster, index)
    made = await cluster.create_index(index, schema)
    rejects = work / "rejects.jsonl"
    job = IngestJob(source, made, encoder, Settings().ingest, rejects=rejects, on_progress=on_progress)
    report = await job.run()
    assert report.ok, report
    return report


async def fresh(cluster: Cluster, index: str) -> None:
    with suppress(IndexMissing):
        await cluster.drop_index(index)


def write_rows(file: Path, count: int) -> Path:
    """So many rows with a title, a text of one passage and a year."""
    chance = random.Random(11)
    with file.open("w", encoding="utf-8") as made:
        for number in range(count):
            words = chance.choices(WORDS, k=SENTENCE_WORDS)
            row = {
                "_id": f"document-{number:07}",
                "title": " ".join(words[:4]),
                "text": " ".join(words),
                "year": number,
            }
            made.write(json.dumps(row) + "\n")
    return file


def clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def since(began: tuple[float, float], count: int) -> Figures:
    """So many a second, and processor milliseconds for each."""
    seconds, cpu_s = (now - then for now, then in zip(clocks(), began, strict=True))
    return {"per_second": count / seconds, "per_cpu_second": count / cpu_s, "cpu_ms": cpu_s * 1e3 / count}


def resident_mb() -> float:
    """The memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def print_ways(title: str, ways: dict[str, list[Figures]], unit: str) -> None:
    table = Table(title=f"{title}; medians of the rounds", title_justify="left", show_edge=False)
    for column in ("", f"{unit}/s", f"{unit} a CPU second", "of the last, by the clock", "by CPU"):
        table.add_column(column, justify="right" if column else "left")
    rows = {name: {key: median(figures[key] for figures in found) for key in found[0]} for name, found in ways.items()}
    last = list(rows.values())[-1 if unit == "documents" else 0]
    for name, row in rows.items():
        keys = ("per_second", "per_cpu_second")
        table.add_row(name, *(f"{row[key]:,.1f}" for key in keys), *(f"{row[key] / last[key]:.3f}" for key in keys))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
