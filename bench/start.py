"""How long commands take from nothing to their end, beside the same of another commit in the same run.

    make bench-start
    make bench-start ARGS="--against COMMIT --rounds 20"

Each command is a new process of the environment that the bench runs in, as a shell starts one: `connector --help`,
`connector search --help`, `connector search QUERY --no-rerank` on an embedded store with the first documents of the
example corpus, the same with twenty queries more from stdin (what one more takes in a warm process), and a search whose
rerank a running worker does. Commits take turns, so that noise falls on both. Of each command the seconds on the clock
and those of the processor are shown, each the least and the median of the rounds; the first round, which compiles
modules, does not count."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from checkouts import checked_out
from machine import print_result
from rich.console import Console
from rich.progress import track
from rich.table import Table

from connector.remote.process import running_worker

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "examples" / "corpus"
QUERY = "how long do tier-2 partners keep a registered deal"
MORE = 20  # queries of a warm process
RERANKED = "reranked"  # the command that asks a worker
THIS_TREE = "here"
console = Console(stderr=True, highlight=False, markup=False)


@dataclass(frozen=True, slots=True)
class Took:
    """What a process took: on the clock, and of the processor in all its threads."""

    seconds: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Tree:
    """A state of the code, and the folder with the store that it made."""

    code: Path
    work: Path

    def run(self, *arguments: str, stdin: str = "") -> Took:
        """One command to its end. Raises SystemExit where it fails."""
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "connector", *arguments],
            cwd=self.work,
            env=environment(self.code),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stdin
        assert process.stderr
        process.stdin.write(stdin.encode())
        process.stdin.close()
        output = process.stderr.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = Took(time.perf_counter() - began, used.ru_utime + used.ru_stime)
        if process.returncode:
            sys.exit(f"connector {' '.join(arguments)} failed in {self.code}:\n{output}")
        return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="COMMIT", help="also time its code, or that of a folder")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--commands", nargs="+", metavar="NAME", help=f"some of these: {', '.join(commands(''))}")
    parser.add_argument("--documents", type=int, default=100, help="how many of the corpus to ingest")
    options = parser.parse_args()
    names = options.commands or [*commands("")]
    with tempfile.TemporaryDirectory(prefix="bench-start-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        worker_url = stack.enter_context(running_worker([])).url if RERANKED in names else ""
        to_run = {name: how for name, how in commands(worker_url).items() if name in names}
        trees = {THIS_TREE: ROOT}
        if options.against:
            trees[options.against] = stack.enter_context(checked_out(options.against))
        ready = {name: make_store(name, code, folder, options.documents) for name, code in trees.items()}
        found = time_all(ready, to_run, options.rounds)
    show(found)
    print_result({"bench": "start", "rounds": options.rounds, "documents": options.documents, "commands": found})


def commands(worker: str) -> dict[str, tuple[tuple[str, ...], str]]:
    """Name -> arguments and stdin."""
    fused = ("search", "--no-rerank")
    return {
        "help": (("--help",), ""),
        "search help": (("search", "--help"), ""),
        "fused": ((*fused, QUERY), ""),
        f"fused, {MORE} queries more": ((*fused, "-"), f"{QUERY}\n" * (MORE + 1)),
        RERANKED: (("search", "--worker", worker, QUERY), ""),
    }


def time_all(
    trees: Mapping[str, Tree], to_run: Mapping[str, tuple[tuple[str, ...], str]], rounds: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Command -> tree -> figures."""
    took: dict[str, dict[str, list[Took]]] = {name: {tree: [] for tree in trees} for name in to_run}
    for number in track(range(rounds + 1), description="rounds", console=console, transient=True):
        for name, (arguments, stdin) in to_run.items():
            for tree in trees:
                timing = trees[tree].run(*arguments, stdin=stdin)
                if number:
                    took[name][tree].append(timing)
    return {name: {tree: figures(times) for tree, times in by_tree.items()} for name, by_tree in took.items()}


def figures(times: list[Took]) -> dict[str, float]:
    """The least and the median, in seconds."""
    clock, processor = [timing.seconds for timing in times], [timing.cpu_s for timing in times]
    found = {
        "least_s": min(clock),
        "median_s": statistics.median(clock),
        "least_cpu_s": min(processor),
        "median_cpu_s": statistics.median(processor),
    }
    return {name: round(value, 3) for name, value in found.items()}


def make_store(name: str, code: Path, folder: Path, documents: int) -> Tree:
    """A tree that has ingested the first documents of the corpus by its own code."""
    work = folder / f"work-{name.replace('/', '-')}"
    work.mkdir()
    lines = (CORPUS / "corpus.jsonl").read_text(encoding="utf-8").splitlines()[:documents]
    (work / "documents.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    tree = Tree(code, work)
    with console.status(f"ingesting {len(lines)} documents ({name})"):
        tree.run("ingest", "documents.jsonl")
    return tree


def environment(code: Path) -> dict[str, str]:
    """No settings but the defaults, and modules that are compiled once."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CONNECTOR_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {"PYTHONPATH": str(code), "COLUMNS": "120"}


def show(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    table = Table(title="seconds: least (median), and of the processor", title_justify="left", show_edge=False)
    for column in ("command", "code", "on the clock", "of the processor"):
        table.add_column(column)
    for name, by_tree in found.items():
        for tree, seconds in by_tree.items():
            table.add_row(
                name,
                tree,
                f"{seconds['least_s']:.2f} ({seconds['median_s']:.2f})",
                f"{seconds['least_cpu_s']:.2f} ({seconds['median_cpu_s']:.2f})",
            )
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    main()
