"""What so many documents take: cores and days of the encoder, of the engine's writes, disk and memory of the vectors.

    make bench-size
    make bench-size ARGS="--documents 20e6 --passages 1.5 --dims 768 --passages-per-cpu-s 400"

Nothing is measured here: rates that were measured are multiplied, and bytes are reckoned as `connector backfill
--dry-run` does for an index that is there. docs/measurements/size.md has what the defaults
print."""

from __future__ import annotations

import argparse

from machine import print_result
from rich.console import Console
from rich.table import Table

from connector.clusters.indices.vector_bytes import disk_bytes, memory_bytes
from connector.clusters.indices.vector_choices import read_choices
from connector.settings.sections import VectorIndexSettings

ENGINES = ("elasticsearch", "opensearch")
DAY_S = 86_400
GB = 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=float, default=100e6)
    parser.add_argument("--passages", type=float, default=1.0, help="of a document")
    parser.add_argument("--dims", type=int, default=384)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--passages-per-cpu-s", type=float, default=16.0, help="of the encoder")
    parser.add_argument("--cores", type=int, default=256, help="that encode")
    parser.add_argument("--engine-cpu-ms", type=float, default=2.0, help="of a passage: to write and merge it")
    parser.add_argument("--engine-cores", type=int, default=32)
    options = parser.parse_args()
    passages = options.documents * options.passages
    encode_s = passages / options.passages_per_cpu_s
    engine_s = passages * options.engine_cpu_ms / 1e3 * (1 + options.replicas)
    work = {
        "encoder_cpu_days": round(encode_s / DAY_S, 1),
        "encoder_days": round(encode_s / DAY_S / options.cores, 2),
        "engine_cpu_days": round(engine_s / DAY_S, 1),
        "engine_days": round(engine_s / DAY_S / options.engine_cores, 2),
    }
    choices = {engine: reckon(engine, passages, options.dims, 1 + options.replicas) for engine in ENGINES}
    show(work, choices)
    print_result({"bench": "size", "documents": options.documents, "work": work, "choices": choices})


def reckon(engine: str, passages: float, dims: int, copies: int) -> dict[str, dict[str, float]]:
    """Disk and memory of all copies, in GB, by each way in which the engine indexes vectors."""
    m = VectorIndexSettings().m
    return {
        choice.name: {
            "disk_gb": round(copies * passages * disk_bytes(choice, dims, m) / GB),
            "memory_gb": round(copies * passages * memory_bytes(choice, dims, m) / GB),
        }
        for choice in read_choices(engine).values()
    }


def show(work: dict[str, float], choices: dict[str, dict[str, dict[str, float]]]) -> None:
    console = Console()
    for name, days in work.items():
        console.print(f"{name.replace('_', ' ')}: {days:,}", highlight=False)
    for engine, found in choices.items():
        table = Table(title=f"vectors on {engine}, all copies", title_justify="left", show_edge=False)
        for column in ("", "disk GB", "memory GB"):
            table.add_column(column, justify="right" if column else "left")
        for name, figures in found.items():
            table.add_row(name, f"{figures['disk_gb']:,}", f"{figures['memory_gb']:,}")
        console.print(table)


if __name__ == "__main__":
    main()
