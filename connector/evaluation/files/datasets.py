"""Judged collections in BEIR's layout: queries.jsonl, and judgments as qrels/SPLIT.tsv or qrels.tsv (each also .gz)."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from connector.errors import SourceError
from connector.evaluation.defaults import SPLIT
from connector.evaluation.files.judgments import Judgments, Qrels, read_judgments
from connector.evaluation.files.queries import JudgedQuery, Queries, read_queries
from connector.evaluation.files.weights import MeanWeights, weigh

SAMPLE_SEED = 13
SHOWN = 5  # ids in a note


@dataclass(frozen=True, slots=True)
class Collection:
    """Judged queries and their grades by document. `notes` say what else was in the files, and is left out. `scale` is
    the highest grade that could be given, where that is known. `weights` are those of the queries in means, by their
    field `weighed_by`. `apart` has the grades of each kind of judge, where they are to be told apart."""

    name: str
    queries: tuple[JudgedQuery, ...]
    qrels: Qrels
    notes: tuple[str, ...] = ()
    scale: int = 1
    weights: MeanWeights = field(default_factory=dict)
    weighed_by: str = ""
    apart: Mapping[str, Qrels] = field(default_factory=dict)

    @property
    def highest_grade(self) -> int:
        """The best that a document can have: of the scale, or the best one given."""
        return max((self.scale, *(grade for grades in self.qrels.values() for grade in grades.values())))

    def only(self, queries: Sequence[JudgedQuery]) -> Collection:
        """The collection with some of its queries and their judgments."""
        qrels = {query.query_id: self.qrels[query.query_id] for query in queries}
        apart = {
            kind: {query_id: grades for query_id, grades in judged.items() if query_id in qrels}
            for kind, judged in self.apart.items()
        }
        some = Collection(self.name, tuple(queries), qrels, self.notes, self.highest_grade, apart=apart)
        return some.weighed(self.weighed_by) if self.weighed_by else some

    def weighed(self, by: str) -> Collection:
        """The collection whose queries count by a number of theirs. Raises SettingsError."""
        return replace(self, weights=weigh(self.queries, by), weighed_by=by)

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
    judgments = read_judgments(_find(folder, f"qrels/{split}.tsv", "qrels.tsv"))
    return join(folder.resolve().name, read_queries(_find(folder, "queries.jsonl")), judgments)


def join(name: str, queries: Queries, judgments: Judgments) -> Collection:
    """The queries that have a judgment, and notes of all that is left out. Raises SourceError where none has."""
    qrels = judgments.qrels
    judged = [query for query in queries if query.query_id in qrels]
    if not judged:
        raise SourceError(
            f"no query in {name} has a judgment (queries: {_some([query.query_id for query in queries])}; "
            f"judgments: {_some([*qrels])}); do the queries and the qrels belong together?"
        )
    kept = {query.query_id: qrels[query.query_id] for query in judged}
    return Collection(name, tuple(judged), kept, tuple(_notes(queries, judgments, kept)))


def _notes(queries: Queries, judgments: Judgments, kept: Qrels) -> Iterator[str]:
    """What was read and is not measured with, or counts once though it is there twice."""
    if queries.repeated:
        yield f"{queries.repeated} queries are in their file again, with the same text; each counts once"
    if judgments.repeated:
        yield f"{judgments.repeated} judgments are in their file again, with the same grade; each counts once"
    if unjudged := len(queries) - len(kept):
        yield f"{unjudged} of {len(queries)} queries have no judgment and are left out"
    if unknown := [query_id for query_id in judgments.qrels if query_id not in kept]:
        count = sum(len(judgments.qrels[query_id]) for query_id in unknown)
        yield f"{count} judgments are of {len(unknown)} queries that are not there, and are left out: {_some(unknown)}"
    if hopeless := [query_id for query_id, grades in kept.items() if max(grades.values()) <= 0]:
        yield f"{len(hopeless)} queries have no relevant document, so they score 0: {_some(hopeless)}"


def _some(query_ids: Sequence[str]) -> str:
    return ", ".join(query_ids[:SHOWN]) + (", …" if len(query_ids) > SHOWN else "")


def _find(folder: Path, *names: str) -> Path:
    for name in names:
        for candidate in (folder / name, folder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise SourceError(f"{folder} has no {' or '.join(names)} (nor .gz)")
