"""Rows of PostgreSQL: what each type is read as, in which order, and what cannot be read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pytest

from connector.errors import SourceError
from connector.ingest.job import make_plan
from connector.ingest.sources import Source, open_source
from connector.ingest.sources import postgres as reading
from connector.settings.load import load_settings


def open_table(database: str, table: str = "docs", **settings: Any) -> Source:
    overrides = {"postgres.table": table} | settings
    return open_source(database, load_settings(environ={}, overrides=overrides))


def test_each_type_is_read_as_documents_have_it(database: str, postgres_writer: psycopg.Connection) -> None:
    postgres_writer.execute(
        "CREATE TYPE mood AS ENUM ('good', 'bad');"
        "CREATE TABLE docs (id bigint PRIMARY KEY, name text, price numeric(8,2), ratio float8, ok boolean, day date,"
        " at timestamptz, local timestamp, took interval, code uuid, tags text[], info jsonb, bytes bytea, host inet,"
        " span int4range, feeling mood, empty text)"
    )
    postgres_writer.execute("SET TIME ZONE 'Asia/Tokyo'")
    postgres_writer.execute(
        "INSERT INTO docs VALUES (7, 'a', 12.50, 0.5, true, '2024-02-29', '2024-01-02 12:00+09', '2024-01-02 03:04:05',"
        " '90 minutes', '0b7e3f4e-2f0a-4c1e-9a55-0f6f6c1b2a3d', '{x,y}', '{\"a\": [1]}', 'text'::bytea, '10.0.0.1/8',"
        " '[1,5)', 'good', NULL)"
    )
    (row,) = open_table(database)

    assert row.faults == {}
    assert row.origin == "public.docs:id=7"
    assert row.values == {
        "id": 7, "name": "a", "price": 12.5, "ratio": 0.5, "ok": True, "day": dt.date(2024, 2, 29),
        "at": dt.datetime(2024, 1, 2, 3, tzinfo=dt.UTC), "local": dt.datetime(2024, 1, 2, 3, 4, 5), "took": 5400,
        "code": "0b7e3f4e-2f0a-4c1e-9a55-0f6f6c1b2a3d", "tags": ["x", "y"], "info": {"a": [1]}, "bytes": "text",
        "host": "10.0.0.1/8", "span": "[1,5)", "feeling": "good", "empty": None,
    }  # fmt: skip


def test_a_value_that_cannot_be_kept_costs_its_field_alone(database: str, postgres_writer: psycopg.Connection) -> None:
    postgres_writer.execute(
        "CREATE TABLE docs (id int PRIMARY KEY, day date, at timestamptz, bytes bytea, price float8)"
    )
    postgres_writer.execute(
        "INSERT INTO docs VALUES (1, 'infinity', '12024-01-01', '\\xff', 'infinity'), (2, NULL, now(), '', 1)"
    )
    first, second = open_table(database)

    assert sorted(first.faults) == ["at", "bytes", "day", "price"]
    assert first.values == {"id": 1}
    assert "'infinity' cannot be kept" in first.faults["day"]
    assert second.faults == {}


@pytest.mark.parametrize("key", ["id", "a, b", "name", ""])
def test_all_rows_are_read_whatever_the_key(
    database: str, postgres_writer: psycopg.Connection, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PIECE_ROWS", 7)
    postgres_writer.execute("CREATE TABLE docs (id int, a int, b int, name text)")
    if key:
        postgres_writer.execute(f"ALTER TABLE docs ADD PRIMARY KEY ({key})")
    postgres_writer.execute("INSERT INTO docs SELECT n, n % 3, n, 'name ' || n FROM generate_series(21, 1, -1) AS n")
    source = open_table(database)
    rows = list(source)

    assert sorted(row.values["id"] for row in rows) == list(range(1, 22))
    assert len({row.origin for row in rows}) == 21
    assert [row.values for row in source] == [row.values for row in rows]
    assert source.progress == 1.0
    assert source.id_field == (key if key in ("id", "name") else None)


def test_a_query_is_read_and_its_fields_worked_out(database: str, postgres_writer: psycopg.Connection) -> None:
    postgres_writer.execute("CREATE TABLE docs (id int PRIMARY KEY, name text, body text, author int)")
    postgres_writer.execute("CREATE TABLE people (id int, name text)")
    postgres_writer.execute("INSERT INTO docs VALUES (1, 'first', repeat('long text ', 30), 5)")
    postgres_writer.execute("INSERT INTO people VALUES (5, 'Ann')")
    query = "SELECT docs.id, docs.name, body, people.name AS author FROM docs JOIN people ON people.id = author;"
    settings = load_settings(environ={}, overrides={"postgres.query": query})
    source = open_source(database, settings)
    plan = make_plan(settings, source)

    assert [row.values["author"] for row in source] == ["Ann"]
    assert plan.fields.id == "id"
    assert list(plan.fields.text) == ["name", "body"]
    assert plan.fields.metadata == {"author": "keyword"}


def test_a_long_table_is_surveyed_by_its_first_rows(
    database: str, postgres_writer: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SURVEYED_ROWS", 10)
    postgres_writer.execute("CREATE TABLE docs (id int PRIMARY KEY, text text)")
    postgres_writer.execute("INSERT INTO docs SELECT n, 'text' FROM generate_series(1, 100) AS n")
    plan = make_plan(load_settings(environ={}), open_table(database))

    assert plan.rows == 10


def test_what_is_not_there_is_said_with_what_is(database: str, postgres_writer: psycopg.Connection) -> None:
    postgres_writer.execute("CREATE TABLE articles (id int)")
    with pytest.raises(SourceError, match=r"no table 'docs'; the database has: public.articles"):
        open_table(database)
    with pytest.raises(SourceError, match="name what is read of it: --table"):
        open_source(database, load_settings(environ={}))
    with pytest.raises(SourceError, match=r"cannot read the query .* syntax error at or near"):
        open_source(database, load_settings(environ={}, overrides={"postgres.query": "SELEKT 1"}))
    with pytest.raises(SourceError, match="gives two columns 'id'"):
        open_source(database, load_settings(environ={}, overrides={"postgres.query": "SELECT 1 AS id, 2 AS id"}))
    with pytest.raises(SourceError, match=r"cannot connect to .* refused"):
        open_table("postgresql://tester@127.0.0.1:1/none")
    with pytest.raises(SourceError, match="holds a password") as raised:
        open_table("postgresql://tester:secret@127.0.0.1/none")
    assert "secret" not in str(raised.value)
