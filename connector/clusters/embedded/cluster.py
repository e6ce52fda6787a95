"""A folder of indexes."""

from __future__ import annotations

import json
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import lancedb

from connector.clusters.embedded.columns import META_KEY, add_indexes, arrow_schema, missing_indexes
from connector.clusters.embedded.index import TERMS_SUFFIX, EmbeddedIndex
from connector.clusters.embedded.write_lock import WriteLock
from connector.clusters.protocol import Engine, ForeignFields, nearest_name
from connector.errors import ClusterError, IndexExists, IndexMissing, SettingsError
from connector.schema import IndexSchema

WRITER_WAIT_S = 120.0  # for another process that writes; one write takes seconds
FRESH_FOR = timedelta(seconds=1)  # after that a search looks whether somebody has written


class EmbeddedCluster:
    """A LanceDB database in a local folder."""

    def __init__(self, connection: lancedb.AsyncConnection, folder: Path) -> None:
        self.engine = Engine("embedded", f"lancedb {version('lancedb')}")
        self._connection = connection
        self._folder = folder

    @property
    def folder(self) -> Path:
        return self._folder

    @classmethod
    async def open(cls, folder: Path) -> EmbeddedCluster:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return cls(await lancedb.connect_async(str(folder), read_consistency_interval=FRESH_FOR), folder)
        except OSError as error:
            raise ClusterError(f"cannot open the embedded store in {folder}: {error}") from error

    async def create_index(self, name: str, schema: IndexSchema) -> EmbeddedIndex:
        schema.fields.check_names()
        if schema.vectors.index not in ("auto", "flat"):
            raise SettingsError(
                f"the embedded store searches exactly; it has no vector index {schema.vectors.index!r}: use auto"
            )
        lock = self._lock(name)
        async with lock.held():
            try:
                table = await self._connection.create_table(name, schema=arrow_schema(schema))
            except ValueError as error:
                if "exists" in str(error):
                    raise IndexExists(name) from error
                raise ClusterError(f"cannot create index {name!r}: {error}") from error
            await add_indexes(table, await missing_indexes(table, schema), schema)
        return EmbeddedIndex(name, schema, table, self._connection, lock)

    async def open_index(self, name: str, foreign: ForeignFields | None = None) -> EmbeddedIndex:
        table = await self._table(name)
        metadata = (await table.schema()).metadata or {}
        schema = IndexSchema.from_meta(json.loads(metadata.get(META_KEY, b"{}")))
        if schema is None:
            raise SettingsError(
                f"table {name!r} in {self._folder} was not made by the connector; ingest into an index of its own"
            )
        lock = self._lock(name)
        if await missing_indexes(table, schema):  # its making may have been killed half-way, or is under way
            async with lock.held():
                await table.checkout_latest()
                await add_indexes(table, await missing_indexes(table, schema), schema)
        return EmbeddedIndex(name, schema, table, self._connection, lock)

    async def drop_index(self, name: str) -> None:
        await self._table(name)
        async with self._lock(name).held():
            await self._connection.drop_table(name)
            await self._connection.drop_table(name + TERMS_SUFFIX, ignore_missing=True)

    async def count(self, name: str) -> int:
        return int(await (await self._table(name)).count_rows())

    async def close(self) -> None:
        self._connection.close()

    def _lock(self, name: str) -> WriteLock:
        return WriteLock(self._folder, name, wait_s=WRITER_WAIT_S)

    async def _table(self, name: str) -> lancedb.AsyncTable:
        try:
            return await self._connection.open_table(name)
        except (ValueError, FileNotFoundError) as error:
            names = (await self._connection.list_tables()).tables
            near = nearest_name(name, [table for table in names if not table.endswith(TERMS_SUFFIX)])
            raise IndexMissing(name, f"embedded:{self._folder}", near) from error
