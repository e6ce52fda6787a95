"""Documents that travel through a job together, with their rows, so that what fails can be kept as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from connector.ingest.sources import Row
from connector.types import Document


@dataclass(slots=True)
class DocumentGroup:
    """Rows, the documents in them, and the documents' content hashes, each in the same order."""

    rows: list[Row] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)

    def add(self, row: Row, document: Document, hashed: str) -> None:
        self.rows.append(row)
        self.documents.append(document)
        self.hashes.append(hashed)

    def select(self, positions: Sequence[int]) -> DocumentGroup:
        return DocumentGroup(
            [self.rows[at] for at in positions],
            [self.documents[at] for at in positions],
            [self.hashes[at] for at in positions],
        )
