"""The slot and the publication of a followed table: what of them is refused, and what happens when they go."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.ingest.following import LIMIT_S, Following, following, store_of

from connector.errors import SourceError
from connector.ingest.following.opening import drop_followed, open_followed
from connector.ingest.following.source import FollowedSource, FollowTarget
from connector.settings.load import load_settings
from connector.settings.sections import Settings


@pytest.fixture
def table(postgres_writer: psycopg.Connection) -> psycopg.Connection:
    postgres_writer.execute("CREATE TABLE docs (id int PRIMARY KEY, text text)")
    postgres_writer.execute("INSERT INTO docs VALUES (1, 'one'), (2, 'two')")
    return postgres_writer


@pytest.fixture
def reader(database: str, table: psycopg.Connection) -> Iterator[str]:
    """The URL for a user who may read the table and no more."""
    name = f"reader_{secrets.token_hex(4)}"
    run(table, f"CREATE ROLE {name} LOGIN")
    run(table, f"GRANT SELECT ON docs TO {name}")
    yield database.replace("://tester@", f"://{name}@")
    run(table, f"DROP OWNED BY {name}")
    run(table, f"DROP ROLE {name}")


def slot_of(database: str) -> str:
    """Slots are of the whole server, which other tests use too."""
    return database.rpartition("/")[2]


def run(connection: psycopg.Connection, statement: str) -> None:
    """A statement with names in it, which can be no parameters."""
    connection.execute(statement.encode())


def is_there(connection: psycopg.Connection, slot: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", [slot]).fetchone() is not None


def settings_of(database: str, **settings: Any) -> Settings:
    slot = {"postgres.table": "docs", "postgres.slot": slot_of(database)}
    return load_settings(environ={}, overrides=slot | settings)


def follow(database: str, **settings: Any) -> FollowedSource:
    return open_followed(database, settings_of(database, **settings))


async def ready(database: str) -> FollowedSource:
    followed = follow(database)
    await followed.will_make()
    return followed


@asynccontextmanager
async def replicating(database: str, folder: Path, *, is_new: bool = True) -> AsyncIterator[Following]:
    """The table is followed into a store of its own."""
    target = FollowTarget("docs", "id", is_new=is_new)
    async with store_of(folder / "store", text={"text": 1.0}, id="id") as index:
        async with following(await ready(database), index, folder / "rejects", target=target) as running:
            yield running


@pytest.fixture
async def followed(database: str, table: psycopg.Connection, tmp_path: Path) -> AsyncIterator[Following]:
    """A follower whose stream has begun."""
    async with replicating(database, tmp_path) as running:
        await running.until(lambda texts: set(texts) == {"1", "2"})
        table.execute("INSERT INTO docs VALUES (3, 'three')")
        await running.until(lambda texts: "3" in texts)
        yield running


async def test_what_it_cannot_be_followed_by_is_refused_before_anything_is_made(
    database: str, table: psycopg.Connection
) -> None:
    slot = slot_of(database)
    table.execute("SELECT pg_create_physical_replication_slot(%s)", [slot])
    with pytest.raises(SourceError, match="is of another kind, or of another database; give another name"):
        await follow(database).will_make()
    table.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    table.execute("CREATE TABLE other (id int PRIMARY KEY)")
    run(table, f"CREATE PUBLICATION {slot} FOR TABLE other")
    with pytest.raises(SourceError, match=f"ALTER PUBLICATION {slot} ADD TABLE public.docs") as caught:
        await follow(database).will_make()
    run(table, str(caught.value).partition(": ")[2])
    made = await follow(database).will_make()

    assert [part.split(",")[0] for part in made] == [f"replication slot {slot}"]


async def test_a_slot_that_another_process_reads_is_left_to_it(database: str, followed: Following) -> None:
    with pytest.raises(SourceError, match="is being read by another process; end that one"):
        await follow(database).will_make()
    with pytest.raises(SourceError, match=r"cannot drop slot .* is active"):
        drop_followed(database, settings_of(database))
    report = await followed.end()

    assert report.counts.failed == 0


async def test_a_slot_that_is_dropped_ends_it(database: str, table: psycopg.Connection, followed: Following) -> None:
    slot = slot_of(database)
    end = time.monotonic() + LIMIT_S
    while is_there(table, slot):
        assert time.monotonic() < end
        table.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s", [slot])
        with contextlib.suppress(psycopg.errors.ObjectInUse):
            table.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    report = await followed.ended()

    assert report.stopped
    assert f'replication slot "{slot}" does not exist; run it again with --drop-slot' in report.stopped


async def test_a_publication_that_is_dropped_ends_it(
    database: str, table: psycopg.Connection, followed: Following
) -> None:
    """Made again, it would not hold for what was written before."""
    slot = slot_of(database)
    run(table, f"DROP PUBLICATION {slot}")
    table.execute("INSERT INTO docs VALUES (4, 'four')")
    report = await followed.ended()
    dropped = drop_followed(database, settings_of(database))

    assert report.stopped
    assert f'publication "{slot}" does not exist' in report.stopped
    assert "run it again with --drop-slot" in report.stopped
    assert dropped == [f"slot {slot}"]


async def test_a_slot_that_fell_too_far_behind_is_said_to_be_lost(database: str, table: psycopg.Connection) -> None:
    followed = await ready(database)
    await followed.begin()
    await followed.close()
    table.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    table.execute("SELECT pg_reload_conf()")
    try:
        for _ in range(4):
            table.execute("INSERT INTO docs SELECT max(id) + 1, 'more' FROM docs")
            table.execute("SELECT pg_switch_wal()")
        table.execute("CHECKPOINT")
    finally:
        table.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
        table.execute("SELECT pg_reload_conf()")
    with pytest.raises(SourceError, match=r"fell so far behind .* drop it \(--drop-slot\) and follow anew"):
        await follow(database).will_make()
    drop_followed(database, settings_of(database))

    assert len(await follow(database).will_make()) == 2


async def test_a_user_who_may_only_read_makes_and_drops_nothing(
    database: str, table: psycopg.Connection, reader: str
) -> None:
    slot = slot_of(database)
    needs = "the user needs the attribute REPLICATION, and to own the table"
    with pytest.raises(SourceError, match=f"cannot make slot {slot} .*permission denied for database.*; {needs}"):
        await (await ready(reader)).begin()
    run(table, f"CREATE PUBLICATION {slot} FOR TABLE docs")
    with pytest.raises(SourceError, match=f"cannot make slot {slot} .*replication.*; {needs}"):
        await (await ready(reader)).begin()
    table.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
    with pytest.raises(SourceError, match=f"cannot drop slot {slot}: "):
        drop_followed(reader, settings_of(reader))

    assert is_there(table, slot)


async def test_a_publication_of_somebody_else_is_used_as_it_is(
    database: str, table: psycopg.Connection, reader: str, tmp_path: Path
) -> None:
    """What was read cannot be remembered in it, so each start reads all of the table; nor is it dropped."""
    slot = slot_of(database)
    run(table, f"CREATE PUBLICATION {slot} FOR TABLE docs")
    run(table, f"COMMENT ON PUBLICATION {slot} IS 'for the warehouse'")
    run(table, f"ALTER ROLE {reader.partition('//')[2].partition('@')[0]} REPLICATION")
    for start in (1, 2):
        async with replicating(reader, tmp_path / f"{start}", is_new=False) as running:
            table.execute("INSERT INTO docs VALUES (%s, 'more')", [start * 10])
            await running.until(lambda texts, start=start: {"1", "2", f"{start * 10}"} <= set(texts))
    dropped = drop_followed(database, settings_of(database))
    left = table.execute("SELECT pubname FROM pg_publication").fetchall()

    assert dropped == [f"slot {slot}"]
    assert left == [(slot,)]


async def test_a_deletion_that_does_not_say_the_id_any_more_is_noted(
    table: psycopg.Connection, followed: Following
) -> None:
    """Somebody gave the table another replica identity while it is followed."""
    table.execute("ALTER TABLE docs ADD COLUMN sku int UNIQUE")
    table.execute("UPDATE docs SET sku = id, text = 'no. ' || id")
    # the stream says that these rows were touched: one that is gone by the time they are asked for is removed
    await followed.until(lambda texts: set(texts.values()) == {"no. 1", "no. 2", "no. 3"})
    table.execute("ALTER TABLE docs ALTER COLUMN sku SET NOT NULL")
    table.execute("ALTER TABLE docs REPLICA IDENTITY USING INDEX docs_sku_key")
    table.execute("DELETE FROM docs WHERE id = 1")
    table.execute("INSERT INTO docs VALUES (5, 'five', 5)")
    texts = await followed.until(lambda texts: "5" in texts)
    report = await followed.end()

    assert set(texts) == {"1", "2", "3", "5"}
    assert "the stream did not say of all rows of public.docs which they were" in report.notes
