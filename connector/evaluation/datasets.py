"""Judged collections in BEIR's layout: corpus.jsonl, queries.jsonl, and qrels as qrels.tsv or qrels/SPLIT.tsv (each also .gz)."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from connector.errors import SourceError
from connector.evaluation.defaults import SPLIT

Qrels = Mapping[str, Mapping[str, int]]
SAMPLE_SEED = 13


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query that has judgments; `labels` are its other fields in the collection, by which queries can be told apart."""

    query_id: str
    text: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its label of that name, empty where it has none."""
        return next(iter(self.labels.get("kind", ())), "")


@dataclass(frozen=True, slots=True)
class Collection:
    """Judged queries and their grades by document. Queries without any judgment are left out."""

    name: str
    queries: tuple[JudgedQuery, ...]
    qrels: Qrels

    def only(self, queries: Sequence[JudgedQuery]) -> Collection:
        """The collection with some of its queries and their judgments."""
        return Collection(self.name, tuple(queries), {query.query_id: self.qrels[query.query_id] for query in queries})

    def sample(self, count: int) -> Collection:
        """`count` of the queries, the same every time; all where there are no more, or for 0."""
        if not 0 < count < len(self.queries):
            return self
        return self.only(random.Random(SAMPLE_SEED).sample(self.queries, count))

    def split(self, count: int, *, seed: int) -> tuple[Collection, Collection]:
        """The collection without `count` queries, and these: by chance, the same every time."""
        queries = sorted(self.queries, key=lambda query: query.query_id)
        random.Random(seed).shuffle(queries)
        return self.only(queries[count:]), self.only(queries[:count])

    @property
    def fingerprint(self) -> str:
        """What identifies the queries and their judgments: equal for equal ones, in whatever order they were read."""
        rows = sorted(
            (query.query_id, query.text, sorted(self.qrels[query.query_id].items())) for query in self.queries
        )
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def read_collection(folder: Path, *, split: str = SPLIT) -> Collection:
    """The queries and judgments in a folder; raises SourceError for what is missing or malformed."""
    qrels = read_qrels(_find(folder, "qrels.tsv", f"qrels/{split}.tsv"))
    return join(folder.resolve().name, _read_queries(_find(folder, "queries.jsonl")), qrels)


def join(name: str, queries: Iterable[JudgedQuery], qrels: Qrels) -> Collection:
    """The queries that have a judgment. Raises SourceError where none has."""
    judged = {query.query_id: query for query in queries if query.query_id in qrels}
    if not judged:
        raise SourceError(f"no query in {name} has a judgment; do the queries and the qrels belong together?")
    return Collection(name, (), qrels).only([*judged.values()])


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Grades by query and document: rows of BEIR (three columns by tabs, with a header) or of TREC (four columns)."""
    qrels: dict[str, dict[str, int]] = {}
    with open_text(path) as lines:
        for number, row in enumerate(csv.reader(lines, delimiter="\t"), start=1):
            cells = row[0].split() if len(row) == 1 else row
            if not cells or (number == 1 and not cells[-1].lstrip("-").isdigit()):
                continue  # an empty line, or the header
            try:
                query_id, doc_id, grade = (cells[0], cells[2], cells[3]) if len(cells) == 4 else cells[:3]
                qrels.setdefault(query_id, {})[doc_id] = int(grade)
            except (IndexError, ValueError):
                raise SourceError(
                    f"{path}:{number} is no judgment; it needs query-id, corpus-id and a whole number"
                ) from None
    return qrels


def open_text(path: Path) -> IO[str]:
    """A text file, also gzipped. Raises SourceError where it cannot be read."""
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8")
        return open(path, encoding="utf-8", newline="")
    except OSError as error:
        raise SourceError(f"cannot read {path} ({error.strerror}); check the path") from None


def _read_queries(path: Path) -> Iterator[JudgedQuery]:
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                yield JudgedQuery(str(row.pop("_id")), row.pop("text"), dict(_labels(row)))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise SourceError(f"{path}:{number} is no query ({error!r}); it needs _id and text") from None


def _labels(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each field with its values as text; what is nested has a dot in its name."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _labels(value, f"{prefix}{name}.")
        elif value is not None:
            values = value if isinstance(value, list) else [value]
            yield prefix + name, tuple(one if isinstance(one, str) else json.dumps(one) for one in values)


def _find(folder: Path, *names: str) -> Path:
    for name in names:
        for candidate in (folder / name, folder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise SourceError(f"{folder} has no {' or '.join(names)} (nor .gz)")
