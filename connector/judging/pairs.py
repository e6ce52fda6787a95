"""Pairs of a query and a document, to be judged: a file with one in each line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from connector.errors import DiskError, SourceError
from connector.evaluation.files.queries import parse_object
from connector.evaluation.files.text_file import numbered_lines
from connector.whole_file import write_whole

NEEDS = "query_id, doc_id, order and fields"
PairKey = tuple[str, str]  # query_id, doc_id


@dataclass(frozen=True, slots=True)
class Pair:
    """A document that a query's answer may hold. `order` counts from 0: which pair is asked first, over all queries;
    `fields` are what is shown of the document."""

    query_id: str
    doc_id: str
    order: int
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> PairKey:
        """What identifies the pair."""
        return (self.query_id, self.doc_id)


def read_pairs(path: Path) -> tuple[Pair, ...]:
    """The pairs of a file, in their order. Raises SourceError, with the line, for what is no pair, and for one that is
    there twice."""
    pairs: dict[tuple[str, str], Pair] = {}
    for number, line in numbered_lines(path):
        pair = _parse(line, f"{path}:{number}")
        if pairs.setdefault(pair.key, pair) is not pair:
            raise SourceError(f"{path}:{number} is a pair that is there already; make the pool anew")
    return tuple(sorted(pairs.values(), key=lambda pair: pair.order))


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """A line for each pair; what the file held before is gone, and it is never half written. Raises DiskError."""
    try:
        write_whole(path, (json.dumps(asdict(pair), ensure_ascii=False, default=str) + "\n" for pair in pairs))
    except OSError as error:
        raise DiskError(f"cannot write {path} ({error.strerror}); choose another place") from None


def _parse(line: str, where: str) -> Pair:
    row = parse_object(line, where, NEEDS)
    query_id, doc_id, order, fields = (row.get(name) for name in ("query_id", "doc_id", "order", "fields"))
    if not isinstance(query_id, str) or not isinstance(doc_id, str) or not query_id or not doc_id:
        raise SourceError(f"{where} is no pair: its query_id or doc_id is missing, or no text")
    if not isinstance(order, int) or isinstance(order, bool) or not isinstance(fields, dict):
        raise SourceError(f"{where} is no pair: its order is no whole number, or its fields are no JSON object")
    return Pair(query_id, doc_id, order, fields)
