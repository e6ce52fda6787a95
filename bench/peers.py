"""This product beside what people would use instead: the same engine, encoder, documents, queries and judgments, in one
run.

    make bench-peers DATA=FOLDER
    make bench-peers DATA=FOLDER ARGS="--queries 50 --documents 2000 --cross-encoder FOLDER"

Each peer is a file in bench/peer/, written as its users write it: its lines are counted without blank ones, comments
and imports. It runs in an environment of its own, writes the documents its own way, and is asked all queries: once to
find, which counts for nothing but nDCG, then again one after the other, then by several clients at once. All rerank a
window of the same size by the same worker with its default model, LangChain and Haystack through their own integrations
of Cohere's API. The worker remembers passages, as in service, and no scores. With --cross-encoder the worker reranks
with that, and LangChain and Haystack do in their own process, by sentence-transformers. Elasticsearch's own retrievers
need modules that are not in its minimal server, and a licence: with --retrievers they are tried on the cluster that
--elasticsearch names, whose trial is started."""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from machine import print_result
from parts import cut
from quality import console
from rich.console import Console
from rich.table import Table

from connector.evaluation.files.datasets import Collection, read_collection
from connector.evaluation.statistics.latency import percentile
from connector.evaluation.statistics.measures import measure
from connector.models.files import find_model
from connector.remote.process import running_worker
from connector.settings.sections import Settings
from connector.types import Hit

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "tests" / "servers"))
OURS = "hybrid_search_connector"
WAYS = ("fused", "reranked")
SERVERS = {"elasticsearch": "9.3.2", "opensearch": "3.6.0"}


@dataclass(frozen=True)
class Contest:
    """A peer on an engine, and whether it reranks."""

    name: str
    engine: str
    reranks: bool

    @property
    def title(self) -> str:
        return f"{self.name} on {self.engine}{', reranked' if self.reranks else ''}"

    @property
    def way(self) -> str:
        return "reranked" if self.reranks else "fused"


CONTESTS = tuple(
    Contest(name, engine, reranks)
    for engine, names in {
        "elasticsearch": (OURS, "langchain_elasticsearch", "haystack_elasticsearch"),
        "opensearch": (OURS, "opensearch_itself"),
    }.items()
    for name in names
    for reranks in (False, True)
)
ITSELF = tuple(Contest("elasticsearch_itself", "elasticsearch", reranks) for reranks in (False, True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="BEIR-layout folder")
    parser.add_argument("--python", default=sys.executable, help="the Python of the environment that has the peers")
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="some of the files in bench/peer/; all by default")
    parser.add_argument("--queries", type=int, default=100, help="a seeded sample of so many; 0: all")
    parser.add_argument("--documents", type=int, default=3_000, help="those judged, and others up to so many")
    parser.add_argument("--cross-encoder", metavar="FOLDER", help="what every rerank takes, not the worker's default")
    parser.add_argument("--elasticsearch", metavar="URL", help="this one instead of starting one")
    parser.add_argument("--opensearch", metavar="URL", help="this one, with ML Commons, instead of starting one")
    parser.add_argument("--engines", nargs="+", choices=SERVERS, default=[*SERVERS], help="all by default")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="both by default")
    parser.add_argument("--retrievers", action="store_true", help="Elasticsearch's own too, under its trial")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2, help="of all queries, with clients side by side")
    options = parser.parse_args()
    folder = cut(options.data, options.queries, options.documents)
    collection = read_collection(folder)
    results: dict[str, dict[str, Any]] = {}
    with reranker(options) as worker_url, running_engines(options) as urls:
        for contest in contests_of(options):
            console.print(contest.title)
            job = job_of(contest, folder, collection, options) | {"rounds": options.rounds, "clients": options.clients}
            job["peer"] |= {"url": urls[contest.engine], "worker_url": worker_url}
            results[contest.title] = play(job, options.python, collection)
            console.print(json.dumps(results[contest.title]))
    show(results)
    print_result(
        {
            "bench": "peers",
            "collection": options.data.name,
            "queries": len(collection.queries),
            "documents": options.documents,
            "clients": options.clients,
            "cross_encoder": bool(options.cross_encoder),
            "peers": results,
        }
    )


def contests_of(options: argparse.Namespace) -> list[Contest]:
    """Those that can be held with what is given; what needs a licence only where it is asked for."""
    named = options.peers or [contest.name for contest in (*CONTESTS, *(ITSELF if options.retrievers else ()))]
    return [
        contest
        for contest in (*CONTESTS, *ITSELF)
        if contest.name in named and contest.engine in options.engines and contest.way in options.ways
    ]


@contextlib.contextmanager
def reranker(options: argparse.Namespace) -> Iterator[str]:
    """The URL of the worker of all contests. Where none of them reranks there is no worker, and nobody asks for one."""
    if not any(contest.reranks for contest in contests_of(options)):
        yield Settings().rerankers["local"].url
        return
    arguments = ["--set", "worker.score_cache_bytes=0"]  # no contest finds the scores of the one before
    arguments += ["--reranker", options.cross_encoder] if options.cross_encoder else []
    with running_worker(arguments, own_settings=True) as worker:
        yield worker.url


@contextlib.contextmanager
def running_engines(options: argparse.Namespace) -> Iterator[dict[str, str]]:
    """The URL of each engine that the contests need."""
    import engines

    with contextlib.ExitStack() as stack:
        urls = {}
        for kind in {contest.engine for contest in contests_of(options)}:
            if given := getattr(options, kind):
                urls[kind] = given
                if kind == "elasticsearch" and options.retrievers:
                    start_trial(given)
                continue
            console.print(f"starting {kind} {SERVERS[kind]}")
            server = engines.start(kind, SERVERS[kind], ml=kind == "opensearch")
            stack.callback(engines.stop, server)
            urls[kind] = server["url"]
        yield urls


def start_trial(url: str) -> None:
    """Of the licence; a cluster that has had its trial refuses, and goes on with what it has."""
    start = urllib.request.Request(f"{url}/_license/start_trial?acknowledge=true", method="POST")
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(start).close()


def job_of(contest: Contest, folder: Path, collection: Collection, options: argparse.Namespace) -> dict[str, Any]:
    """What a peer is told on its stdin."""
    rows = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    settings = Settings()
    return {
        "name": contest.name,
        "peer": {
            "index": f"peers-{contest.name}-{contest.way}".replace("_", "-"),
            "encoder": str(find_model(settings.encoder.model, settings.models)),
            "dims": 384,
            "cross_encoder": options.cross_encoder,
            "reranks": contest.reranks,
            "k": settings.search.k,
            "window": 50,
            "depth": settings.search.depth,
        },
        "documents": [{"title": "", "text": "", **json.loads(row)} for row in rows],
        "queries": {query.query_id: query.text for query in collection.queries},
    }


def play(job: dict[str, Any], python: str, collection: Collection) -> dict[str, Any]:
    """One peer's figures, or why it has none."""
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        done = subprocess.run(
            [python if job["name"] != OURS else sys.executable, str(FOLDER / "peer" / "run.py")],
            input=json.dumps(job | {"result": result.name}),
            capture_output=True,
            text=True,
            check=False,
        )
        lines = count_lines(FOLDER / "peer" / f"{job['name']}.py")
        if done.returncode:  # it could not even say why
            return {"lines": lines, "failed": done.stderr.strip()[-300:]}
        figures: dict[str, Any] = json.loads(Path(result.name).read_text())
    if "failed" in figures:
        return {"lines": lines, "failed": figures["failed"][:300]}
    run = {
        query_id: tuple(Hit(doc_id, -float(rank)) for rank, doc_id in enumerate(dict.fromkeys(found)))
        for query_id, found in figures["found"].items()
    }
    values = measure(run, collection.qrels, ["nDCG@10"])["nDCG@10"]
    return {
        "nDCG@10": round(fmean(values.values()), 4),
        "p50_ms": round(percentile(figures["took_ms"], 0.5), 1),
        "p95_ms": round(percentile(figures["took_ms"], 0.95), 1),
        "searches_per_s": round(figures["searches_per_s"], 1),
        "ingest_s": round(figures["prepared_s"], 1),
        "lines": lines,
    }


def count_lines(file: Path) -> int:
    """Lines of code without imports, docstrings, comments and blank lines: those that hold a statement's part."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    left_out = {
        number
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
    return sum(bool(line.split("#")[0].strip()) and number not in left_out for number, line in lines)


def show(results: dict[str, dict[str, Any]]) -> None:
    table = Table(title="beside its peers", title_justify="left", show_edge=False)
    columns = ("nDCG@10", "p50_ms", "p95_ms", "searches_per_s", "ingest_s", "lines")
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    for title, result in results.items():
        table.add_row(title, *(str(result.get(column, "–")) for column in columns))
        if "failed" in result:
            table.add_row(f"  failed: {result['failed']}")
    Console(width=None if sys.stdout.isatty() else 150).print(table)


if __name__ == "__main__":
    main()
