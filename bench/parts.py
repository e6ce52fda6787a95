"""A judged collection, or a seeded part of it: FOLDER[:QUERIES[:DOCUMENTS]], with 0 for all of them."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
from pathlib import Path

from connector.evaluation.files.datasets import read_collection

SEED = 17


def part_of(given: str) -> Path:
    """The folder itself where nothing else is given; else one with so many queries, all documents that are judged for
    them, and others up to so many documents."""
    name, *sizes = given.split(":")
    if not sizes:
        return Path(name)
    queries, documents = (*map(int, sizes), 0)[:2]
    return cut(Path(name), queries, documents)


def cut(folder: Path, queries: int, documents: int) -> Path:
    """A folder in the temporary one with that part; made anew each time."""
    part = Path(tempfile.gettempdir()) / "connector-bench-parts" / f"{folder.name}-{queries}-{documents}"
    part.mkdir(parents=True, exist_ok=True)
    collection, chance = read_collection(folder), random.Random(SEED)
    if 0 < queries < len(collection.queries):
        collection = collection.only(chance.sample(collection.queries, queries))
    (file,) = folder.glob("corpus.jsonl*")
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else open(file, encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    judged = {doc_id for grades in collection.qrels.values() for doc_id in grades}
    others = [row["_id"] for row in rows if row["_id"] not in judged]
    more = max(0, min(len(others), documents - len(judged))) if documents else len(others)
    kept = judged | {*chance.sample(others, more)}
    with open(part / "corpus.jsonl", "w", encoding="utf-8") as made:
        made.writelines(json.dumps(row) + "\n" for row in rows if row["_id"] in kept)
    with open(part / "queries.jsonl", "w", encoding="utf-8") as made:
        made.writelines(json.dumps({"_id": query.query_id, "text": query.text}) + "\n" for query in collection.queries)
    with open(part / "qrels.tsv", "w", encoding="utf-8") as made:
        made.write("query-id\tcorpus-id\tscore\n")
        for query_id, grades in collection.qrels.items():
            made.writelines(f"{query_id}\t{doc_id}\t{grade}\n" for doc_id, grade in grades.items())
    return part
