"""What the trainings of docs/how-to/train.md learn from: several collections as one, and scores to distil.

    make bench-training-data ARGS="join OUT FOLDER=QUERIES [FOLDER=QUERIES ...]"
    connector ingest OUT --cluster embedded:/tmp/connector-bench --index joined
    make bench-training-data ARGS="teach OUT SCORES.jsonl --index joined --queries 2000"
    connector train OUT --cluster embedded:/tmp/connector-bench --index joined \\
        --loss distill --teacher-scores SCORES.jsonl --out MODEL

join: queries are a seeded sample, with their judgments; documents are all of the folder's. Ids get the folder's name in
front. A folder with train_pairs.tsv (question, corpus-id) gives those as its queries in place of its judged ones, so
that these stay unseen; as the questions are its documents' titles, titles are left out, and of the documents only the
pages that were drawn are taken.

teach: each hit of a search with the score that its final place comes from: late interaction and the first stage
together. It asks for no judgment."""

from __future__ import annotations

import argparse
import asyncio
import csv
import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from machine import print_result
from quality import STORE, console
from rich.progress import track

from connector.evaluation.files.datasets import SAMPLE_SEED, read_collection
from connector.evaluation.files.text_file import numbered_lines
from connector.evaluation.searchers import open_searchers
from connector.remote.process import running_worker
from connector.settings.load import load_settings
from connector.types import SearchRequest

Row = dict[str, Any]
HITS = 60  # of a query that are scored
CACHE = ("--set", "worker.cache_bytes=2000000000")
DEADLINE_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    jobs = parser.add_subparsers(dest="job", required=True)
    joining = jobs.add_parser("join")
    joining.add_argument("out", type=Path)
    joining.add_argument("sources", nargs="+", metavar="FOLDER=QUERIES")
    teaching = jobs.add_parser("teach")
    teaching.add_argument("data", type=Path)
    teaching.add_argument("out", type=Path)
    teaching.add_argument("--index", required=True)
    teaching.add_argument("--queries", type=int, default=0)
    teaching.add_argument("--cluster", default=STORE)
    teaching.add_argument("--backend", default="auto", help="worker.backend")
    options = parser.parse_args()
    figures = join(options.out, options.sources) if options.job == "join" else asyncio.run(teach(options))
    print_result({"bench": "training-data", "job": options.job, "out": str(options.out)} | figures)


def join(out: Path, sources: list[str]) -> dict[str, int]:
    """Write the joined collection; how many documents, queries and judgments it has."""
    out.mkdir(parents=True)
    counts = {"documents": 0, "queries": 0, "judgments": 0}
    with (
        gzip.open(out / "corpus.jsonl.gz", "wt", encoding="utf-8") as corpus,
        open(out / "queries.jsonl", "w", encoding="utf-8") as queries,
        open(out / "qrels.tsv", "w", encoding="utf-8") as qrels,
    ):
        qrels.write("query-id\tcorpus-id\tscore\n")
        for source in sources:
            folder, _, count = source.partition("=")
            add = add_pairs if (Path(folder) / "train_pairs.tsv").exists() else add_judged
            name = Path(folder).resolve().name
            for document, query, grades in add(Path(folder), int(count)):
                counts["documents"] += bool(document)
                counts["queries"] += bool(query)
                counts["judgments"] += len(grades)
                if document:
                    corpus.write(json.dumps(document | {"_id": f"{name}:{document['_id']}"}) + "\n")
                if query:
                    queries.write(json.dumps(query | {"_id": f"{name}:{query['_id']}"}) + "\n")
                    qrels.writelines(f"{name}:{query['_id']}\t{name}:{doc}\t{grade}\n" for doc, grade in grades.items())
    return counts


async def teach(options: argparse.Namespace) -> dict[str, int]:
    """Write the scores; of how many queries, and how many."""
    count = 0
    collection = read_collection(options.data).sample(options.queries)
    flags = ("--set", f"worker.backend={options.backend}", *CACHE)
    # nothing else runs that an open file could hold up
    with running_worker(flags) as worker, open(options.out, "w", encoding="utf-8") as file:  # noqa: ASYNC230
        overrides = {"cluster.url": options.cluster, "index.name": options.index, "rerankers.local.url": worker.url}
        settings = load_settings(overrides=overrides)
        async with open_searchers([settings]) as (opened,):
            for query in track(collection.queries, "asking the teacher", console=console):
                request = SearchRequest(query.text, k=HITS, window=HITS, depth=HITS, deadline_s=DEADLINE_S)
                response = await opened.searcher.search(request)
                assert not response.degraded, response.degraded
                for hit in response.hits:
                    if hit.explain.stages:
                        row = {"query_id": query.query_id, "doc_id": hit.doc_id, "score": hit.score}
                        file.write(json.dumps(row) + "\n")
                        count += 1
    return {"queries": len(collection.queries), "scores": count}


def add_judged(folder: Path, count: int) -> Iterator[tuple[Row, Row, dict[str, int]]]:
    """Documents, and queries with their grades."""
    for document in documents(folder):
        yield {name: document.get(name, "") for name in ("_id", "title", "text")}, {}, {}
    collection = read_collection(folder).sample(count)
    for query in collection.queries:
        yield {}, {"_id": query.query_id, "text": query.text}, dict(collection.qrels[query.query_id])


def add_pairs(folder: Path, count: int) -> Iterator[tuple[Row, Row, dict[str, int]]]:
    """Pages are drawn until they have `count` questions, so that a question's hardest other answers, those of its page,
    are there."""
    with open(folder / "train_pairs.tsv", encoding="utf-8") as lines:
        question_of = {row["corpus-id"]: row["question"] for row in csv.DictReader(lines, delimiter="\t")}
    pages: dict[str, list[str]] = {}
    for doc_id in question_of:
        pages.setdefault(doc_id.rpartition("_")[0], []).append(doc_id)
    chance = random.Random(SAMPLE_SEED)
    drawn: dict[str, None] = {}
    for page in chance.sample(sorted(pages), len(pages)):
        if len(drawn) >= count:
            break
        drawn |= dict.fromkeys(pages[page])
    for document in documents(folder):
        if document["_id"] in drawn:
            yield {"_id": document["_id"], "title": "", "text": document["text"]}, {}, {}
    for doc_id in drawn:
        yield {}, {"_id": f"q-{doc_id}", "text": question_of[doc_id]}, {doc_id: 1}


def documents(folder: Path) -> Iterator[Row]:
    packed = folder / "corpus.jsonl.gz"
    for _, line in numbered_lines(packed if packed.exists() else folder / "corpus.jsonl"):
        yield json.loads(line)


if __name__ == "__main__":
    main()
