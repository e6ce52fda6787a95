"""Judged collections in BEIR's layout: corpus.jsonl, queries.jsonl, and qrels as qrels.tsv or qrels/SPLIT.tsv (each also .gz)."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from connector.errors import SourceError

Qrels = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query that has judgments; `kind` is its label in the collection, empty where it has none."""

    query_id: str
    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """Judged queries and their grades by document. Queries without any judgment are left out."""

    name: str
    queries: tuple[JudgedQuery, ...]
    qrels: Qrels

    def only(self, queries: Sequence[JudgedQuery]) -> Collection:
        """The collection with some of its queries and their judgments."""
        return Collection(self.name, tuple(queries), {query.query_id: self.qrels[query.query_id] for query in queries})


def read_collection(folder: Path, *, split: str = "test") -> Collection:
    """The queries and judgments in a folder; raises SourceError for what is missing or malformed."""
    qrels = _read_qrels(_find(folder, "qrels.tsv", f"qrels/{split}.tsv"))
    queries = []
    with _open(_find(folder, "queries.jsonl")) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                query = JudgedQuery(str(row["_id"]), row["text"], str(row.get("kind", "")))
            except (ValueError, KeyError, TypeError) as error:
                raise SourceError(
                    f"{folder}/queries.jsonl:{number} is no query ({error!r}); it needs _id and text"
                ) from None
            if query.query_id in qrels:
                queries.append(query)
    if not queries:
        raise SourceError(f"no query in {folder} has a judgment")
    return Collection(folder.name, tuple(queries), qrels).only(queries)


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    with _open(path) as lines:
        for number, row in enumerate(csv.reader(lines, delimiter="\t"), start=1):
            if number == 1 and not row[-1].lstrip("-").isdigit():
                continue  # header
            try:
                query_id, doc_id, grade = (row[0], row[2], row[3]) if len(row) == 4 else (row[0], row[1], row[2])
                qrels.setdefault(query_id, {})[doc_id] = int(grade)
            except (IndexError, ValueError):
                raise SourceError(
                    f"{path}:{number} is no judgment; it needs query-id, corpus-id and a whole number"
                ) from None
    return qrels


def _find(folder: Path, *names: str) -> Path:
    for name in names:
        for candidate in (folder / name, folder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise SourceError(f"{folder} has no {' or '.join(names)} (nor .gz)")


def _open(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8", newline="")
