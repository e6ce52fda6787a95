"""Ingest jobs over an index of the embedded store, rows to give them, and a cluster that is not always well."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from support.parts import HashEncoder

from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import ClusterUnavailable, SourceError
from connector.ingest.pipeline import IngestJob
from connector.ingest.report import Counts, JobReport
from connector.ingest.sources import Row
from connector.settings.sections import IngestSettings
from connector.types import IndexedDocument, WriteOutcome

SETTINGS = IngestSettings(group_documents=3, writers=2, max_attempts=3, backoff_s=0.001)
FIELDS = {"text": {"title": 1.0, "text": 1.0}, "metadata": {"year": "integer", "extra": "stored"}, "id": "_id"}


class Rows:
    """A source from a list; `breaks_after` rows it raises."""

    id_field = None
    alike = False
    typed = True

    def __init__(self, rows: Sequence[dict[str, Any] | Row], breaks_after: int | None = None) -> None:
        self._rows = rows
        self._breaks_after = breaks_after
        self.notes: Counter[str] = Counter()
        self.progress = 0.0

    def __iter__(self) -> Iterator[Row]:
        for number, row in enumerate(self._rows, start=1):
            if self._breaks_after is not None and number > self._breaks_after:
                raise SourceError("the source broke off")
            self.progress = number / len(self._rows)
            yield row if isinstance(row, Row) else Row(row, f"rows:{number}")


class Unsteady:
    """The embedded index behind a cluster that is not always well."""

    def __init__(
        self,
        index: EmbeddedIndex,
        *,
        outages: int = 0,
        refusals: dict[str, int] | None = None,
        down_after: int | None = None,
        large: str = "",
    ) -> None:
        """`outages` calls of write fail as a whole; `refusals` says how often a document's write is put off (-1: it is
        refused for good); after `down_after` writes nothing answers any more. `large` may be so for good."""
        self._index = index
        self.outages = outages
        self.refusals = dict(refusals or {})
        self.down_after = down_after
        self.large = large
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
        self._fail_when_down()
        self.writes += 1
        if self.outages:
            self.outages -= 1
            raise ClusterUnavailable("no answer in time")
        outcomes = self._put_off([indexed.document.doc_id for indexed in documents])
        written = await self._index.write([indexed for indexed in documents if indexed.document.doc_id not in outcomes])
        return [
            (outcomes | {outcome.doc_id: outcome for outcome in written})[indexed.document.doc_id]
            for indexed in documents
        ]

    async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
        outcomes = self._put_off(doc_ids)
        removed = await self._index.remove([doc_id for doc_id in doc_ids if doc_id not in outcomes])
        return [(outcomes | {outcome.doc_id: outcome for outcome in removed})[doc_id] for doc_id in doc_ids]

    def _put_off(self, doc_ids: Sequence[str]) -> dict[str, WriteOutcome]:
        outcomes = {}
        for doc_id in doc_ids:
            left = self.refusals.get(doc_id, 0)
            if left:
                self.refusals[doc_id] = left - 1 if left > 0 else left
                later = left > 0
                outcomes[doc_id] = WriteOutcome(
                    doc_id, "queue is full" if later else "mapping", later, perhaps_never=doc_id == self.large
                )
        return outcomes

    async def get(self, *args: Any, **options: Any) -> Any:
        self._fail_when_down()
        return await self._index.get(*args, **options)

    async def finish(self) -> None:
        self._fail_when_down()
        await self._index.finish()

    def _fail_when_down(self) -> None:
        if self.down_after is not None and self.writes >= self.down_after:
            raise ClusterUnavailable("connection refused")


class IngestJobs:
    """Runs jobs over one index, and reads what is there."""

    def __init__(self, index: EmbeddedIndex, encoder: HashEncoder, rejects: Path) -> None:
        self.index, self.encoder, self.rejects_file = index, encoder, rejects
        self.progress: list[Counts] = []

    async def run(self, rows: Any, *, index: Any = None, **options: Any) -> JobReport:
        source = rows if hasattr(rows, "progress") else Rows(rows)
        job = IngestJob(
            source,
            index or self.index,
            options.pop("encoder", self.encoder),
            options.pop("settings", SETTINGS),
            rejects=self.rejects_file,
            on_progress=self.progress.append,
            **options,
        )
        return await job.run()

    async def ids(self) -> list[str]:
        return sorted([doc_id async for doc_id, _ in self.index.scan()])

    def rejects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.rejects_file.read_text().splitlines()]


def docs(*names: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"_id": name, "title": f"Title {name}", "text": f"The text of {name}.", **fields} for name in names]


def adds_up(report: JobReport) -> bool:
    counts = report.counts
    return counts.read == counts.written + counts.unchanged + counts.failed + report.unfinished
