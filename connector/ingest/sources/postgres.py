"""The rows of a PostgreSQL table or query.

A table with a primary key is read in pieces in the key's order, each a transaction of its own, so that a long job keeps
the server from no cleaning up. Everything else is read by a cursor in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
from psycopg import sql

from connector.errors import SourceError
from connector.ingest.sources.postgres_relation import Relation, first_line, open_relation
from connector.ingest.sources.postgres_values import UnreadableCell, split_faults
from connector.ingest.sources.row import Row
from connector.settings.postgres import PostgresSettings

PIECE_ROWS = 1_000
SURVEYED_ROWS = 10_000  # the server knows the types; so many rows tell how long texts are


class PostgresSource:
    """All rows. `key` is the column that ids are taken from, where the primary key is not it."""

    typed = True

    def __init__(self, location: str, settings: PostgresSettings) -> None:
        self._location = location
        self._settings = settings
        self._given = 0
        self.progress = 0.0
        self.notes: Counter[str] = Counter()
        connection, relation = open_relation(location, settings)
        connection.close()
        self.relation = relation
        self.id_field = relation.key[0] if len(relation.key) == 1 else None

    @property
    def alike(self) -> bool:
        return self._given >= SURVEYED_ROWS

    def __iter__(self) -> Iterator[Row]:
        self.progress, self._given = 0.0, 0
        self.notes = Counter()
        connection, relation = open_relation(self._location, self._settings)
        with closing(connection):
            try:
                pieces = (
                    _by_key(connection, relation) if relation.key else read_by_cursor(connection, relation.select())
                )
                for row in rows_of(relation, pieces):
                    self._given += 1
                    self.progress = self._given / max(relation.rows, self._given + 1)
                    yield row
            except psycopg.Error as error:
                raise SourceError(
                    f"cannot read {relation.name} after {self._given:,} rows: {first_line(error)}"
                ) from error
        self.progress = 1.0


def rows_of(relation: Relation, cells: Iterator[tuple[Any, ...]]) -> Iterator[Row]:
    """Rows with what names them in the rejects file."""
    names = list(relation.columns)
    for number, values in enumerate(cells, start=1):
        read, faults = split_faults(names, values)
        key = ", ".join(f"{name}={read.get(name)}" for name in relation.key)
        yield Row(read, f"{relation.name}:{key or number}", faults=faults)


def _by_key(connection: psycopg.Connection[Any], relation: Relation) -> Iterator[tuple[Any, ...]]:
    places = [relation.columns.index(name) for name in relation.key]
    last: list[Any] | None = None
    behind = sql.SQL("({}) > ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, relation.key)), sql.SQL(", ").join([sql.Placeholder()] * len(places))
    )
    while True:
        where = behind if last is not None else None
        piece = connection.execute(
            relation.select(where=where, order=relation.key, limit=PIECE_ROWS), last or []
        ).fetchall()
        yield from piece
        if len(piece) < PIECE_ROWS:
            return
        last = [piece[-1][place] for place in places]
        if fault := next((cell for cell in last if isinstance(cell, UnreadableCell)), None):
            raise SourceError(f"cannot read {relation.name} in the order of its key: {fault.reason}")


def read_by_cursor(
    connection: psycopg.Connection[Any], query: sql.Composed, values: list[Any] | None = None
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, some at a time, in one transaction."""
    with connection.transaction(), connection.cursor("connector") as cursor:
        cursor.itersize = PIECE_ROWS
        yield from cursor.execute(query, values or [])
