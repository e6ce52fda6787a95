"""A table that is followed by logical replication."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ingest.following import IMPATIENT, SETTINGS, FailingIndex, Following, following

from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import SourceError
from connector.ingest.following.opening import open_followed
from connector.ingest.following.pgoutput import is_visible
from connector.ingest.following.postgres_replication import LOOK_S
from connector.ingest.following.postgres_slot import SlotNames, drop_slot
from connector.ingest.following.source import FollowedSource, FollowTarget
from connector.settings.load import load_settings
from connector.settings.sections import IngestSettings

SLOT = {"postgres.table": "docs", "postgres.slot": "s", "follow.batch_documents": 5}


@pytest.fixture
def table(postgres_writer: psycopg.Connection, database: str) -> psycopg.Connection:
    postgres_writer.execute("CREATE TABLE docs (id int PRIMARY KEY, text text, long text)")
    postgres_writer.execute("INSERT INTO docs VALUES (1, 'one'), (2, 'two')")
    return postgres_writer


def follow(database: str, *, delete_missing: bool = False, **settings: Any) -> FollowedSource:
    # slots are of the whole server, which other tests use too
    slot = database.rpartition("/")[2]
    overrides = SLOT | {"postgres.slot": slot} | settings
    return open_followed(database, load_settings(environ={}, overrides=overrides), delete_missing=delete_missing)


@asynccontextmanager
async def replicating(
    database: str,
    index: Any,
    tmp_path: Path,
    *,
    is_new: bool = True,
    delete_missing: bool = False,
    job: IngestSettings = SETTINGS,
    **settings: Any,
) -> AsyncIterator[Following]:
    followed = follow(database, delete_missing=delete_missing, **settings)
    target = FollowTarget("docs at store", "id", is_new=is_new)
    await followed.will_make()
    async with following(
        followed, index, tmp_path / "rejects", target=target, delete_missing=delete_missing, settings=job
    ) as running:
        yield running


async def test_each_change_of_a_row_becomes_one_in_the_index(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    async with replicating(database, index, tmp_path) as running:
        await running.until(lambda texts: texts == {"1": "one", "2": "two"})
        table.execute("INSERT INTO docs VALUES (3, 'three')")
        table.execute("UPDATE docs SET text = 'first' WHERE id = 1")
        table.execute("UPDATE docs SET id = 20 WHERE id = 2")
        await running.until(lambda texts: texts == {"1": "first", "20": "two", "3": "three"})
        table.execute("DELETE FROM docs WHERE id = 1")
        table.execute("CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)")
        table.execute("INSERT INTO docs SELECT n, 'many' FROM generate_series(100, 122) AS n")
        await running.until(lambda texts: len(texts) == 25)
        with psycopg.connect(database) as undone:
            undone.execute("DELETE FROM docs")
            undone.rollback()
        table.execute("INSERT INTO docs VALUES (4, 'four')")
        texts = await running.until(lambda texts: "4" in texts)
        report = await running.end()

    assert len(texts) == 26
    assert (report.counts.written, report.counts.removed, report.counts.failed) == (29, 2, 0)


async def test_a_large_value_that_did_not_change_stays(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    """The stream leaves it out."""
    table.execute("ALTER TABLE docs ALTER COLUMN text SET STORAGE EXTERNAL")
    table.execute("UPDATE docs SET text = repeat('long ', 2000) WHERE id = 1")
    async with replicating(database, index, tmp_path) as running:
        await running.until(lambda texts: set(texts) == {"1", "2"})
        table.execute("UPDATE docs SET long = 'x', id = 7 WHERE id = 1")
        texts = await running.until(lambda texts: set(texts) == {"2", "7"})

    assert len(texts["7"]) == 10_000


async def test_a_killed_follower_goes_on_from_its_slot(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    async with replicating(database, index, tmp_path) as running:
        await running.until(lambda texts: set(texts) == {"1", "2"})
        table.execute("INSERT INTO docs VALUES (3, 'three')")
        await running.until(lambda texts: "3" in texts)
    table.execute("DELETE FROM docs WHERE id = 1")
    table.execute("UPDATE docs SET text = 'second' WHERE id = 2")
    async with replicating(database, index, tmp_path, is_new=False) as running:
        await running.until(lambda texts: texts == {"2": "second", "3": "three"})
        report = await running.end()

    assert report.counts.read <= 2  # the table was not read again as a whole


async def test_what_is_not_written_is_not_acknowledged(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    away = FailingIndex(index)
    async with replicating(database, away, tmp_path, job=IMPATIENT) as running:
        await running.until(lambda texts: set(texts) == {"1", "2"})
        table.execute("INSERT INTO docs VALUES (3, 'three')")
        await away.failed.wait()
        behind = running.follower._followed.lag()
    async with replicating(database, index, tmp_path, is_new=False) as running:
        await running.until(lambda texts: set(texts) == {"1", "2", "3"})

    assert behind.waiting > 0
    assert behind.unit == "bytes of WAL"


async def test_a_server_that_ends_the_connections_is_asked_again(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    async with replicating(database, index, tmp_path) as running:
        await running.until(lambda texts: set(texts) == {"1", "2"})
        table.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'connector' AND datname = current_database()"
        )
        table.execute("INSERT INTO docs VALUES (3, 'three')")
        await running.until(lambda texts: "3" in texts)


@pytest.mark.parametrize("delete_missing", [True, False])
async def test_a_truncated_table_empties_the_index_where_that_holds_it_alone(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path, delete_missing: bool
) -> None:
    async with replicating(database, index, tmp_path, delete_missing=delete_missing) as running:
        await running.until(lambda texts: set(texts) == {"1", "2"})
        with table.transaction():
            table.execute("TRUNCATE docs")
            table.execute("INSERT INTO docs VALUES (2, 'two'), (3, 'three')")
        left = {"2", "3"} if delete_missing else {"1", "2", "3"}
        await running.until(lambda texts: set(texts) == left)
        report = await running.end()

    assert any("was truncated; its documents stay" in note for note in report.notes) is not delete_missing


async def test_a_commit_that_is_streamed_before_it_is_seen_is_waited_for(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    """With a standby that does not answer, a commit is in the stream and stays unseen until it is given up on."""
    async with replicating(database, index, tmp_path) as running:
        await running.until(lambda texts: set(texts) == {"1", "2"})
        replica: Any = running.follower._followed
        await running.until(lambda texts: replica._stream is not None)
        table.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        table.execute("SELECT pg_reload_conf()")
        updating = Updating(database)
        updating.start()
        try:
            await running.until(lambda texts: is_held(table))
            held_at = time.monotonic()
            await running.until(lambda texts: time.monotonic() > held_at + 10 * LOOK_S)  # it is looked at meanwhile
            updating.is_stopped.set()
            unseen = await running.texts()
        finally:
            updating.is_stopped.set()
            with psycopg.connect(database, autocommit=True) as other:
                other.execute("SET synchronous_commit = local")
                other.execute("ALTER SYSTEM RESET synchronous_standby_names")
                other.execute("SELECT pg_reload_conf()")
        updating.join()
        await running.until(lambda texts: texts["1"] == f"update {updating.number}")

    assert unseen["1"] != f"update {updating.number}"


class Updating(threading.Thread):
    """Updates a row until a commit is held back, which takes a moment after the setting."""

    def __init__(self, database: str) -> None:
        super().__init__()
        self._database = database
        self.number = 0
        self.is_stopped = threading.Event()

    def run(self) -> None:
        with psycopg.connect(self._database, autocommit=True) as connection:
            while not self.is_stopped.wait(0.02):
                self.number += 1
                connection.execute("UPDATE docs SET text = %s WHERE id = 1", [f"update {self.number}"])


def is_held(connection: psycopg.Connection) -> bool:
    """Whether a commit waits for a standby."""
    found = connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchone()
    return found is not None


async def test_what_is_made_is_named_before_and_can_be_dropped(database: str, table: psycopg.Connection) -> None:
    followed = follow(database)
    slot = database.rpartition("/")[2]
    made = await followed.will_make()
    await followed.begin()
    with pytest.raises(psycopg.errors.DuplicateObject):
        table.execute(f"CREATE PUBLICATION {slot}")
    again = await follow(database).will_make()
    await followed.close()
    dropped = drop_slot(table, SlotNames(slot, slot))

    assert [part.split(" for ")[0] for part in made] == [f"publication {slot}", f"replication slot {slot},"]
    assert again == []
    assert dropped == [f"slot {slot}", f"publication {slot}"]
    assert drop_slot(table, SlotNames(slot, slot)) == []


async def test_a_table_whose_deletions_would_not_say_the_id_is_refused(
    database: str, table: psycopg.Connection
) -> None:
    with pytest.raises(SourceError, match="do not say the 'text' of the row"):
        await follow(database, **{"fields.id": "text"}).will_make()
    table.execute("ALTER TABLE docs REPLICA IDENTITY FULL")
    assert await follow(database, **{"fields.id": "text"}).will_make()
    table.execute("ALTER TABLE docs REPLICA IDENTITY NOTHING")
    with pytest.raises(SourceError, match="REPLICA IDENTITY FULL"):
        await follow(database).will_make()
    with pytest.raises(SourceError, match="a query is not replicated"):
        follow(database, **{"postgres.table": None, "postgres.query": "SELECT 1 AS id"})


@given(st.integers(3, 2**40), st.integers(-(2**31) + 1, 2**31 - 1), st.booleans())
def test_a_transaction_is_seen_where_it_ended_before_the_snapshot(xmax: int, distance: int, is_open: bool) -> None:
    xid = max(xmax + distance, 0)
    snapshot = f"3:{xmax}:{xid if is_open and xid < xmax else ''}"

    assert is_visible(xid & 0xFFFFFFFF, snapshot) is (xid < xmax and not (is_open and xid < xmax))
