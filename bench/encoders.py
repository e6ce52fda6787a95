"""What an encoder costs: documents and passages a second into the embedded store, memory, and the time of a query.

    make bench-encoders
    make bench-encoders DATA=FOLDER:0:1000 ARGS="--models all-MiniLM-L6-v2 FOLDER --rounds 3"

DATA is a folder in BEIR's layout, or a seeded part of one: FOLDER:QUERIES:DOCUMENTS. Every job is a process of its own
with an index of its own, and the models take turns in each round, so that noise falls on all of them. All have the same
passages, of at most 256 tokens. The time of a job is its own, without loading the model; its CPU time and its memory
are those of the whole process. Then the queries of the folder are encoded, and searched without a rerank, by each model
in turn. The first model is what the others are compared with."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from machine import print_result
from parts import part_of
from rich.console import Console
from rich.table import Table
from signals import PASSAGE_TOKENS

from connector.evaluation.files.datasets import read_collection
from connector.evaluation.searchers import open_searchers
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.types import SearchRequest
from connector.wiring import load_encoder

EXAMPLES = Path(__file__).parents[1] / "examples" / "corpus"
MODELS = ("all-MiniLM-L6-v2", "BAAI/bge-small-en-v1.5")
console = Console(stderr=True, highlight=False, markup=False)


@dataclass
class Measured:
    """A model, and what was seen of it in each round, or for each query."""

    model: str
    settings: Settings
    documents: int = 0
    passages: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    encode_ms: list[float] = field(default_factory=list)
    encode_cpu_ms: list[float] = field(default_factory=list)
    search_ms: list[float] = field(default_factory=list)

    def rates(self, count: int) -> list[float]:
        """So many a second, in each round."""
        return [count / seconds for seconds in self.seconds]

    def columns(self) -> dict[str, list[float]]:
        return {
            "documents/s": self.rates(self.documents),
            "passages/s": self.rates(self.passages),
            "CPU s of a job": self.cpu_s,
            "MB": self.memory_mb,
            "encode ms": self.encode_ms,
            "encode CPU ms": self.encode_cpu_ms,
            "search ms": self.search_ms,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=str(EXAMPLES), help="FOLDER[:QUERIES[:DOCUMENTS]]")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=100, help="to encode and to search; 0: all")
    options = parser.parse_args()
    folder = part_of(options.data)
    queries = [query.text for query in read_collection(folder).sample(options.queries).queries]
    with tempfile.TemporaryDirectory(prefix="bench-encoders-") as work:
        tried = [Measured(model, settings_of(model, Path(work), number)) for number, model in enumerate(options.models)]
        for number in range(options.rounds):
            for measured in tried:
                console.print(f"round {number + 1} of {options.rounds}: {measured.model}")
                ingest(folder, measured, Path(work), last=number + 1 == options.rounds)
        encode(queries, tried)
        asyncio.run(search(queries, tried))
    report(folder.name, tried)


def settings_of(model: str, work: Path, number: int) -> Settings:
    overrides: dict[str, Any] = {"fields.text": {"title": 1.0, "text": 1.0}, "fields.id": "_id"}
    overrides |= {"encoder.model": model, "passages.max_tokens": PASSAGE_TOKENS, "search.rerank": "off"}
    overrides |= {"cluster.url": f"embedded:{work / 'store'}", "index.name": f"ingest-{number}"}
    return load_settings(overrides=overrides, environ={})


def ingest(folder: Path, measured: Measured, work: Path, *, last: bool) -> None:
    """One job; its index is dropped, but for the last one's."""
    settings, given = measured.settings, work / "settings.json"
    named = {"fields": {"id"}, "index": {"name"}, "cluster": {"url"}, "passages": {"max_tokens"}, "encoder": {"model"}}
    given.write_text(json.dumps(settings.model_dump(include=named) | {"fields": settings.fields.model_dump()}))
    command = [sys.executable, "-m", "connector", "ingest", str(folder), "--config", str(given), "--json"]
    command += ["--rejects", str(work / "rejects.jsonl"), "--set", "log.level=error"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    figures = json.loads(process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, figures
    measured.documents, measured.passages = figures["counts"]["written"], figures["counts"]["passages"]
    measured.seconds.append(figures["seconds"])
    measured.cpu_s.append(used.ru_utime + used.ru_stime)
    measured.memory_mb.append(used.ru_maxrss / 1e3)
    if not last:
        drop = ["index", "drop", "--yes", "--config", str(given)]
        subprocess.run([sys.executable, "-m", "connector", *drop], check=True, stdout=subprocess.DEVNULL)


def encode(queries: Sequence[str], tried: Sequence[Measured]) -> None:
    """Each query by every model, in this process."""
    encoders = [load_encoder(measured.settings) for measured in tried]
    for encoder in encoders:
        encoder.encode_query("what the first call sets up is not its speed")
    for query in queries:
        for measured, encoder in zip(tried, encoders, strict=True):
            began, began_cpu = time.perf_counter(), time.process_time()
            encoder.encode_query(query)
            measured.encode_ms.append((time.perf_counter() - began) * 1e3)
            measured.encode_cpu_ms.append((time.process_time() - began_cpu) * 1e3)


async def search(queries: Sequence[str], tried: Sequence[Measured]) -> None:
    """Each query through both legs and the fusion, by every model."""
    async with open_searchers([measured.settings for measured in tried]) as opened:
        for place in opened:
            await place.warm_up(rerank=False)
        for query in queries:
            for measured, place in zip(tried, opened, strict=True):
                began = time.perf_counter()
                response = await place.searcher.search(SearchRequest(query, rerank=False))
                measured.search_ms.append((time.perf_counter() - began) * 1e3)
                assert not response.degraded, response.degraded


def report(name: str, tried: Sequence[Measured]) -> None:
    first = tried[0]
    table = Table(
        title=f"{name}: {first.documents:,} documents; medians, with the least and the most of the rounds, and the "
        f"ratio to {first.model}",
        title_justify="left",
        show_edge=False,
    )
    table.add_column("")
    for measured in tried:
        table.add_column(measured.model, justify="right")
    for column in first.columns():
        table.add_row(column, *(in_words(measured.columns()[column], first.columns()[column]) for measured in tried))
    Console().print(table)
    print_result(
        {
            "bench": "encoders",
            "collection": name,
            "documents": first.documents,
            "models": {measured.model: in_json(measured, first) for measured in tried},
        }
    )


def in_words(values: Sequence[float], first: Sequence[float]) -> str:
    ratio = median(values) / median(first)
    spread = f" [{min(values):.1f}–{max(values):.1f}]" if len(values) < 10 else ""  # of queries the median is enough
    return f"{median(values):.1f}{spread} ({ratio:.2f})"


def in_json(measured: Measured, first: Measured) -> Mapping[str, Any]:
    found = {
        name: {"median": round(median(values), 2), "ratio": round(median(values) / median(first.columns()[name]), 3)}
        for name, values in measured.columns().items()
    }
    return {"passages": measured.passages} | found


if __name__ == "__main__":
    main()
