"""What files of other programs hold, and what they are written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Format = Literal["quepid", "workbench", "rank-eval", "trec", "beir", "ubi"]
WritableFormat = Literal["quepid", "workbench", "rank-eval", "trec", "beir"]
WRITABLE: tuple[WritableFormat, ...] = get_args(WritableFormat)
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """A value that somebody gave a document for a query. The query is known by its id, its text, or both; `by` is
    empty where the file does not say who judged; `where` is its place in the file; `about` is what a grade keeps of how
    it came about."""

    doc_id: str
    value: float
    query_id: str = ""
    text: str = ""
    by: str = ""
    where: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JudgedFile:
    """All that a file holds. `bodies` are the engine queries that it has beside them, by query id or text; `notes` say
    what was passed over."""

    judged: tuple[Judged, ...]
    bodies: Mapping[str, Body] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgmentsToWrite:
    """What is written: the texts of queries by id, the grades that count by query and document, and the engine query
    of each query, for the format that has one."""

    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]
    bodies: Mapping[str, Body] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """A file's text, and notes of what the format cannot hold."""

    text: str
    notes: tuple[str, ...] = ()
