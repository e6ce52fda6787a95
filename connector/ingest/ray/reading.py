"""Shards as read tasks of Ray Data. A job reads a source twice: first for the ids, so that the first row in the
source's order takes each, and then for the documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from connector.errors import DocumentError, SourceError
from connector.ingest.documents import content_hash, repeated_id, spell_id, to_document
from connector.ingest.plan import used_columns
from connector.ingest.ray.account import CheckedRows, PartAccount
from connector.ingest.ray.parcels import pack
from connector.ingest.ray.part import JobPart
from connector.ingest.ray.shards import SourceShard, open_shard
from connector.ingest.rejects import reject_line
from connector.ingest.sources import Row
from connector.ingest.survey import has_value
from connector.types import Document

CHECKED_ROWS = 4_096  # told of at once
ReadShard = Callable[[SourceShard], Iterable[pa.Table]]


class ShardsDatasource(Datasource):  # type: ignore[misc]  # Ray's types are not read
    """A read task for each shard."""

    def __init__(self, shards: Sequence[SourceShard], read: ReadShard) -> None:
        super().__init__()
        self._shards = shards
        self._read = read

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [ReadTask(partial(self._read, shard), unknown) for shard in self._shards]

    def get_name(self) -> str:
        return "Shards"


def check_shard(part: JobPart, shard: SourceShard) -> Iterator[pa.Table]:
    """The first reading of a shard: what can be a document, and what cannot, as `CheckedRows`."""
    checked = CheckedRows(shard.number)
    fields = part.schema.fields
    try:
        for number, row in enumerate(open_shard(shard, part.settings)):
            checked.read += 1
            document = _document_of(row, part)
            if isinstance(document, Document):
                checked.ids.append((number, document.doc_id))
            else:
                doc_id = row.values.get(fields.id)
                checked.rejects.append((reject_line(row, document), None if doc_id is None else spell_id(doc_id)))
            if checked.read >= CHECKED_ROWS:
                yield pack([("checked", checked)])
                checked = CheckedRows(shard.number)
                if part.board.stopping:
                    return
    except SourceError as error:
        checked.broke_off = part.board.located(str(error))
    yield pack([("checked", checked)])


def read_shard(part: JobPart, repeated: Mapping[int, set[int]], shard: SourceShard) -> Iterator[pa.Table]:
    """The second reading of a shard: its documents, and an account of what stands beside them."""
    source, account = open_shard(shard, part.settings), PartAccount()
    used, again = used_columns(part.schema.fields), repeated.get(shard.number, set())
    documents: list[tuple[Row, Document, str]] = []
    try:
        for number, row in enumerate(source):
            document = _document_of(row, part)
            if not isinstance(document, Document):
                continue  # the first reading has it
            if number in again:
                account.reject(reject_line(row, repeated_id(document.doc_id)))
                continue
            account.unused.update(_unused(row, used))
            documents.append((row, document, content_hash(document, part.schema)))
            if len(documents) >= part.settings.ingest.group_documents:
                yield pack([("group", (documents, PartAccount()))])
                documents = []
                if part.board.stopping:
                    return
    except SourceError:
        pass  # the first reading has told of it
    account.notes = Counter(source.notes)
    yield pack([("group", (documents, account))])


def _document_of(row: Row, part: JobPart) -> Document | str:
    """The document in a row, or why there is none."""
    if row.error is not None:
        return row.error
    try:
        return to_document(row, part.schema.fields)
    except DocumentError as error:
        return str(error)


def _unused(row: Row, used: frozenset[str]) -> Iterator[str]:
    yield from (name for name, value in row.values.items() if name not in used and has_value(value))
    yield from (name for name in row.faults if name not in used)
