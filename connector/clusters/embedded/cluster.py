"""A folder of indexes."""

from __future__ import annotations

import json
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import lancedb

from connector.clusters.embedded.columns import META_KEY, add_indexes, missing_indexes, named_schema, table_id
from connector.clusters.embedded.index import TERMS_SUFFIX, EmbeddedIndex
from connector.clusters.embedded.reasons import LANCE_ERRORS, explain_lance, explaining
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
        except FileExistsError as error:
            raise ClusterError(f"cannot open the embedded store in {folder}: that is a file, not a folder") from error
        except LANCE_ERRORS as error:
            raise ClusterError(f"cannot open the embedded store in {folder}: {explain_lance(error)}") from error

    async def create_index(self, name: str, schema: IndexSchema) -> EmbeddedIndex:
        schema.fields.check_names()
        if schema.vectors.index not in ("auto", "flat"):
            raise SettingsError(
                f"the embedded store searches exactly; it has no vector index {schema.vectors.index!r}: use auto"
            )
        if name.endswith(TERMS_SUFFIX):
            raise SettingsError(
                f"index {name!r} cannot be made: names that end in {TERMS_SUFFIX!r} are the store's own"
            )
        lock, columns = self._lock(name), named_schema(schema)
        async with lock.held():
            if self._has_data(name):
                raise IndexExists(name)
            try:
                table = await self._connection.create_table(name, schema=columns)
            except ValueError as error:
                if "exists" in str(error):
                    raise IndexExists(name) from error
                raise ClusterError(f"cannot create index {name!r}: {error}") from error
            except (OSError, RuntimeError) as error:
                raise ClusterError(f"cannot create index {name!r}: {explain_lance(error)}") from error
            with explaining(f"cannot create index {name!r}"):
                await add_indexes(table, await missing_indexes(table, schema), schema)
        return EmbeddedIndex(name, schema, table, self._connection, lock, table_id(columns))

    async def open_index(self, name: str, foreign: ForeignFields | None = None) -> EmbeddedIndex:
        table = await self._table(name)
        columns = await table.schema()
        metadata = columns.metadata or {}
        schema = IndexSchema.from_meta(json.loads(metadata.get(META_KEY, b"{}")))
        if schema is None:
            raise SettingsError(
                f"table {name!r} in {self._folder} was not made by the connector; ingest into an index of its own"
            )
        lock = self._lock(name)
        with explaining(f"cannot open index {name!r} in {self._folder}"):
            if await missing_indexes(table, schema):  # its making may have been killed half-way, or is under way
                async with lock.held():
                    await table.checkout_latest()
                    await add_indexes(table, await missing_indexes(table, schema), schema)
        return EmbeddedIndex(name, schema, table, self._connection, lock, table_id(columns))

    async def drop_index(self, name: str) -> None:
        if name not in await self._names():
            raise await self._missing(name)
        async with self._lock(name).held():
            with explaining(f"cannot drop index {name!r}"):
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
        except LANCE_ERRORS as error:
            if not self._has_data(name):
                raise await self._missing(name) from error
            raise ClusterError(
                f"index {name!r} in {self._folder} cannot be read: {explain_lance(error)}; restore the folder from a "
                f"copy, or drop the index and ingest again: connector index drop --index {name}"
            ) from error

    async def _missing(self, name: str) -> IndexMissing:
        near = nearest_name(name, [table for table in await self._names() if not table.endswith(TERMS_SUFFIX)])
        return IndexMissing(name, f"embedded:{self._folder}", near)

    async def _names(self) -> list[str]:
        """The names of all tables, also of those that cannot be read."""
        return list((await self._connection.list_tables()).tables)

    def _has_data(self, name: str) -> bool:
        """Whether there are documents of a table, also where it cannot be read; not of one whose making was killed."""
        return any((self._folder / f"{name}.lance" / "data").glob("*"))
