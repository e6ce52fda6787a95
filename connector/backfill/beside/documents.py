"""Documents of theirs on their way into an index of vectors beside them, and what that is to hold of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from connector.clusters.beside.index import BesideIndex
from connector.clusters.beside.vectors_index import COPIES, READ
from connector.types import Document, IndexedDocument, Passage, Vectors

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document of theirs: its texts, what is copied of it, and which write of it that is."""

    doc_id: str
    texts: Mapping[str, str]
    content_hash: str
    copies: JSON
    state: JSON


@dataclass(slots=True)
class DifferingGroup:
    """Documents that travel together: those to encode, and those of which only copies are new."""

    changed: list[ReadDocument]
    touched: list[ReadDocument]


@dataclass(slots=True)
class EncodedDocuments:
    """What was made of documents, and how many have vectors that cannot be right. The rest was not reached before the
    job was to stop."""

    documents: list[IndexedDocument]
    failed: int


def build_document(document: ReadDocument, passages: tuple[Passage, ...], vectors: Vectors) -> IndexedDocument:
    """What ours is to hold of a document."""
    kept = {COPIES: document.copies, READ: document.state}
    return IndexedDocument(Document(document.doc_id, kept), document.content_hash, passages, vectors)


def build_touch(document: ReadDocument, index: BesideIndex) -> bytes:
    """The bulk lines that bring all but passages up to date; a copied field without a value any more becomes null."""
    names = [copy.name.removeprefix(f"{COPIES}.") for copy in index.origin.copies.values()]
    doc = {COPIES: {name: document.copies.get(name) for name in names}, READ: document.state}
    action = {"update": {"_id": document.doc_id}}
    return b"%b\n%b\n" % (orjson.dumps(action), orjson.dumps({"doc": doc}))
