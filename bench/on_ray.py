"""An ingest job in one process, and on local Ray clusters of one and two processes that encode: documents a second.

    make bench-ray
    make bench-ray CLUSTER=URL ARGS="--documents 2000 --encoders 1 2 4"

Each job is a command of its own that writes a new index. It is run with half of the documents and with all of them:
what the second half adds to the time is the steady rate, without the start of processes and the loading of models. The
processes of a cluster share the cores of this machine with the engine, and each has one core for its encoder."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import print_result
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
ENGINE = ("elasticsearch", "9.3.2")
SENTENCES = 8  # of a document
console = Console(stderr=True, highlight=False, markup=False)


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of a job with half of the documents, and with all."""

    half_s: float
    whole_s: float
    documents: int

    def describe(self) -> dict[str, float]:
        """The steady rate is not a number where all took no longer than half: other load has hidden it."""
        steady_s = self.whole_s - self.half_s if self.whole_s > self.half_s else float("nan")
        return {
            "seconds": round(self.whole_s, 1),
            "documents_per_s": round(self.documents / self.whole_s, 1),
            "steady_documents_per_s": round((self.documents - self.documents // 2) / steady_s, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", help="write to this one instead of starting an engine")
    parser.add_argument("--index", default="bench-ray", help="is made for each job, and dropped at its end")
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument(
        "--encoders", type=int, nargs="*", default=[1, 2], help="processes that encode, of each cluster"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-ray-") as folder:
        if options.cluster:
            found = measure(options.cluster, options, Path(folder))
        else:
            import engines

            server = engines.start(*ENGINE)
            try:
                found = measure(server["url"], options, Path(folder))
            finally:
                engines.stop(server)
    table = Table(show_edge=False)
    for column in ("", "seconds", "documents/s", "steady documents/s"):
        table.add_column(column, justify="right" if column else "left")
    for name, figures in found.items():
        table.add_row(name, *(f"{figure:,.1f}" for figure in figures.values()))
    Console().print(table)
    print_result({"bench": "on-ray", "documents": options.documents, "jobs": found})


def measure(cluster: str, options: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """The figures of each way to run the job."""
    ways: dict[str, list[str]] = {"one process": []}
    ways |= {
        f"Ray, {count} encoding": ["--ray", "local", "--set", f"ray.encoders={count}"] for count in options.encoders
    }
    count = options.documents
    files = [write_documents(folder / "half.jsonl", count // 2), write_documents(folder / "whole.jsonl", count)]
    found = {}
    for name, flags in ways.items():
        console.print(name)
        half_s, whole_s = (run_job(file, ["--cluster", cluster, "--index", options.index], flags) for file in files)
        found[name] = Timed(half_s, whole_s, count).describe()
    return found


def write_documents(file: Path, count: int) -> Path:
    """Documents of sentences of the example corpus."""
    chance = random.Random(7)
    with open(ROOT / "examples" / "corpus" / "corpus.jsonl", encoding="utf-8") as corpus:
        sentences = [text for line in corpus for text in json.loads(line)["text"].split(". ") if text]
    with open(file, "w", encoding="utf-8") as rows:
        for number in range(count):
            text = ". ".join(chance.choices(sentences, k=SENTENCES))
            rows.write(json.dumps({"_id": str(number), "title": f"Document {number}", "text": text}) + "\n")
    return file


def run_job(file: Path, named: list[str], flags: list[str]) -> float:
    """The seconds that a job says it took; its index is dropped."""
    command = [sys.executable, "-m", "connector", "ingest", str(file), *named, "--text", "title,text", "--json"]
    output = run([*command, "--rejects", str(file.with_name("rejects")), *flags])
    run([sys.executable, "-m", "connector", "index", "drop", "--yes", *named])
    report: dict[str, Any] = json.loads(output)
    assert report["counts"]["written"], report
    return float(report["seconds"])


def run(command: list[str]) -> str:
    """What a command prints. A local cluster's processes have one core each, as the one process has, and its rank
    among what else runs: Ray lets them stand behind all that."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout


if __name__ == "__main__":
    main()
