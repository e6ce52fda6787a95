"""What is read of a PostgreSQL database, a table or a query, and how it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from connector.errors import SourceError
from connector.ingest.sources.postgres_values import read_values_of
from connector.settings.postgres import PostgresSettings

CONNECT_TIMEOUT_S = 10

PRIMARY_KEY = """
SELECT a.attname FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = %s AND i.indisprimary ORDER BY k.place
"""
LIKE_NAMES = """
SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND n.nspname !~ '^pg_' ORDER BY 1 LIMIT 10
"""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or a query: how it stands behind FROM, its columns, its primary key (none of a query), and how many rows
    the server thinks that it has."""

    source: sql.Composable
    columns: tuple[str, ...]
    key: tuple[str, ...]
    rows: int
    oid: int | None
    name: str

    def select(
        self, *, where: sql.Composable | None = None, order: Sequence[str] = (), limit: int | None = None
    ) -> sql.Composed:
        """The query for rows of all columns."""
        parts: list[sql.Composable] = [
            sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(map(sql.Identifier, self.columns)), self.source)
        ]
        if where is not None:
            parts.append(sql.SQL("WHERE {}").format(where))
        if order:
            parts.append(sql.SQL("ORDER BY {}").format(sql.SQL(", ").join(map(sql.Identifier, order))))
        if limit is not None:
            parts.append(sql.SQL("LIMIT {}").format(limit))
        return sql.SQL(" ").join(parts)


def connect_to(location: str, settings: PostgresSettings, **options: Any) -> psycopg.Connection[Any]:
    """A connection on which each statement is a transaction of its own. Raises SourceError."""
    password = settings.password.get_secret_value() if settings.password else None
    given: dict[str, Any] = {"password": password} if password else {}
    try:
        return psycopg.connect(
            location,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="connector",
            **given,
            **options,
        )
    except psycopg.Error as error:
        raise SourceError(f"cannot connect to {location}: {first_line(error)}") from error


def open_relation(location: str, settings: PostgresSettings) -> tuple[psycopg.Connection[Any], Relation]:
    """A connection, and what is read over it. Raises SourceError where that is not there."""
    if settings.table and settings.query:
        raise SourceError("name a table or a query, not both (postgres.table, postgres.query)")
    if not (settings.table or settings.query):
        raise SourceError(
            f"{location} is a database; name what is read of it: --table NAME (postgres.table), or --query SQL"
        )
    connection = connect_to(location, settings)
    try:
        read_values_of(connection)
        return connection, _describe(connection, settings)
    except psycopg.Error as error:
        connection.close()
        raise SourceError(f"cannot read {settings.table or 'the query'} at {location}: {first_line(error)}") from error
    except SourceError:
        connection.close()
        raise


def _describe(connection: psycopg.Connection[Any], settings: PostgresSettings) -> Relation:
    if settings.query:
        source = sql.SQL("({}) AS rows_of_query").format(sql.SQL(settings.query.strip().rstrip(";")))
        return Relation(source, _columns(connection, source), (), 0, None, "the query")
    found = connection.execute(
        "SELECT c.oid, n.nspname, c.relname, greatest(c.reltuples, 0)::bigint FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)",
        [settings.table],
    ).fetchone()
    if found is None:
        others = ", ".join(name for (name,) in connection.execute(LIKE_NAMES, []))
        raise SourceError(f"there is no table {settings.table!r}; the database has: {others or 'none'}")
    oid, schema, name, rows = found
    table = sql.Identifier(schema, name)
    key = tuple(column for (column,) in connection.execute(PRIMARY_KEY, [oid]))
    return Relation(table, _columns(connection, table), key, rows, oid, f"{schema}.{name}")


def _columns(connection: psycopg.Connection[Any], source: sql.Composable) -> tuple[str, ...]:
    """Raises SourceError where two columns have one name."""
    described = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(source)).description or ()
    names = tuple(column.name for column in described)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SourceError(f"the query gives two columns {twice!r}; give one of them another name (AS)")
    return names


def first_line(error: Exception) -> str:
    """The server's reason in a line."""
    return " ".join(str(error).split()) or type(error).__name__
