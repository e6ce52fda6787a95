"""What a followed database is asked, over one connection that is made anew after a failure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.adapt import Transformer
from psycopg.pq import Format

from connector.errors import SourceError
from connector.ingest.documents import spell_id
from connector.ingest.seen import SeenIds
from connector.ingest.sources import Row
from connector.ingest.sources.postgres import read_by_cursor, rows_of
from connector.ingest.sources.postgres_relation import Relation, first_line, open_relation
from connector.ingest.sources.postgres_values import split_faults
from connector.settings.postgres import PostgresSettings

TIMES = ("timestamp with time zone", "timestamp without time zone", "date")


class FollowedDatabase:
    """A connection and what is read over it. For one thread at a time. All of it raises SourceError."""

    def __init__(self, location: str, settings: PostgresSettings) -> None:
        self._location = location
        self._settings = settings
        self._connection: psycopg.Connection[Any] | None = None
        self._relation: Relation | None = None

    @contextmanager
    def asked(self, action: str) -> Iterator[tuple[psycopg.Connection[Any], Relation]]:
        """The connection within the block; after a failure there the next one is new."""
        if self._connection is None or self._relation is None:
            self._connection, self._relation = open_relation(self._location, self._settings)
        try:
            yield self._connection, self._relation
        except psycopg.Error as error:
            self.close()
            raise SourceError(f"cannot {action}: {first_line(error)}") from error

    def rows_by_key(self, column: str, keys: Sequence[str]) -> tuple[list[Row], list[str]]:
        """The rows that have one of the keys, as the server spells them, and the ids of documents for which there is
        none."""
        with self.asked("read changed rows") as (connection, relation):
            kind = connection.execute(
                "SELECT format_type(atttypid, NULL), atttypid FROM pg_attribute WHERE attrelid = %s AND attname = %s",
                [relation.oid, column],
            ).fetchone()
            if kind is None:
                raise SourceError(f"{relation.name} has no column {column!r} any more")
            where = sql.SQL("{} = ANY(%s::text[]::{}[])").format(sql.Identifier(column), sql.SQL(kind[0]))
            cells = connection.execute(relation.select(where=where), [list(keys)])
            rows = list(rows_of(relation, iter(cells)))
            loader = Transformer(connection).get_loader(kind[1], Format.TEXT)
            asked = {_doc_id(column, loader.load(key.encode())) for key in keys}
        found = {_doc_id(column, row.values.get(column)) for row in rows}
        return rows, sorted(doc_id for doc_id in asked - found if doc_id is not None)

    def changed_since(self, column: str, since: Any) -> Iterator[Row]:
        """The rows whose time of change is not before `since` (None: all that have one), by that time."""
        with self.asked("read changed rows") as (connection, relation):
            name = sql.Identifier(column)
            where = sql.SQL("{} IS NOT NULL" if since is None else "{} >= %s").format(name)
            query = relation.select(where=where, order=[column])
            yield from rows_of(relation, read_by_cursor(connection, query, [] if since is None else [since]))

    def all_ids(self, column: str) -> SeenIds:
        """All ids that the source has now, as documents are called; the caller closes them."""
        present = SeenIds()
        try:
            with self.asked("compare ids") as (connection, relation):
                query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), relation.source)
                for cells in read_by_cursor(connection, query):
                    if (doc_id := _doc_id(column, cells[0])) is not None:
                        present.keep(doc_id)
        except BaseException:  # any; it is raised again
            present.close()
            raise
        return present

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


def low_mark(database: FollowedDatabase, column: str, overlap_s: float) -> Any:
    """The time from which on rows may still come to be seen: `overlap_s` before the newest one that was seen, and as
    much earlier as the oldest open transaction is old. None where no row has a time.

    A time that lies in the future moves it no further than to now."""
    with database.asked("look for changed rows") as (connection, relation):
        name = sql.Identifier(column)
        kind = connection.execute(
            sql.SQL("SELECT pg_typeof(max({}))::text FROM {}").format(name, relation.source)
        ).fetchone()
        if kind is None or kind[0] not in TIMES:
            raise SourceError(f"column {column!r} is no time but {kind and kind[0]}; name one that is (--updated-at)")
        newest = connection.execute(
            sql.SQL("SELECT least(max({})::timestamptz, now()) FROM {}").format(name, relation.source)
        ).fetchone()
        oldest = connection.execute(
            "SELECT coalesce(extract(epoch FROM now() - min(xact_start)), 0)::float FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'"
        ).fetchone()
        if newest is None or newest[0] is None:
            return None
        age_s = max(float(oldest[0]), 0.0) if oldest else 0.0
        return newest[0] - dt.timedelta(seconds=overlap_s + age_s)


def _doc_id(column: str, value: Any) -> str | None:
    """What the document of a row is called; None where it can have no name."""
    values, _ = split_faults([column], (value,))
    return None if values.get(column) is None else spell_id(values[column])
