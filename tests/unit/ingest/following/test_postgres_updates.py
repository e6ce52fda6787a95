"""A table that is followed by the time of each row's last change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.ingest.following import following

from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import SourceError
from connector.ingest.following.opening import open_followed
from connector.ingest.following.source import FollowedSource
from connector.settings.load import load_settings

QUICK = {"postgres.table": "docs", "postgres.updated_at": "changed", "postgres.poll_s": 0.02, "follow.rescan_s": 0.2}


@pytest.fixture
def table(postgres_writer: psycopg.Connection) -> psycopg.Connection:
    """A table with a row that is old."""
    postgres_writer.execute("CREATE TABLE docs (id int PRIMARY KEY, text text, changed timestamptz DEFAULT now())")
    postgres_writer.execute("INSERT INTO docs VALUES (1, 'one', now() - interval '1 day')")
    return postgres_writer


def follow(database: str, *, delete_missing: bool = False, **settings: Any) -> FollowedSource:
    return open_followed(database, load_settings(environ={}, overrides=QUICK | settings), delete_missing=delete_missing)


async def test_rows_that_come_change_and_go_do_so_in_the_index(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    async with following(
        follow(database, delete_missing=True), index, tmp_path / "rejects", delete_missing=True
    ) as running:
        await running.until(lambda texts: set(texts) == {"1"})
        table.execute("INSERT INTO docs VALUES (2, 'two'), (3, 'three')")
        table.execute("UPDATE docs SET text = 'first', changed = now() WHERE id = 1")
        await running.until(lambda texts: texts == {"1": "first", "2": "two", "3": "three"})
        table.execute("DELETE FROM docs WHERE id = 2")
        table.execute("UPDATE docs SET id = 4, changed = now() WHERE id = 3")
        await running.until(lambda texts: texts == {"1": "first", "4": "three"})
        report = await running.end()

    assert (report.counts.written, report.counts.removed, report.counts.failed) == (5, 2, 0)


async def test_a_row_that_is_seen_long_after_its_time_is_not_missed(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    """Its transaction began before others that were seen, and ends after them; there is no window."""
    followed = follow(database, **{"postgres.overlap_s": 0})
    async with following(followed, index, tmp_path / "rejects") as running:
        with psycopg.connect(database) as slow:
            slow.execute("INSERT INTO docs VALUES (2, 'begun early')")
            table.execute("INSERT INTO docs VALUES (3, 'three')")
            await running.until(lambda texts: set(texts) == {"1", "3"})
            table.execute("INSERT INTO docs VALUES (4, 'four')")
            await running.until(lambda texts: set(texts) == {"1", "3", "4"})
            slow.commit()
        await running.until(lambda texts: set(texts) == {"1", "2", "3", "4"})


async def test_a_time_in_the_past_is_seen_within_the_overlap_and_one_in_the_future_hides_nothing(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    followed = follow(database, **{"postgres.overlap_s": 3600})
    async with following(followed, index, tmp_path / "rejects") as running:
        for key in (2, 4):  # the look that sees the second one goes from the time of the first
            table.execute("INSERT INTO docs VALUES (%s, 'ahead', now() + interval '1 year')", [key])
            await running.until(lambda texts, key=key: str(key) in texts)
        table.execute("INSERT INTO docs VALUES (3, 'behind', now() - interval '50 minutes')")
        await running.until(lambda texts: "3" in texts)


async def test_of_two_changes_in_one_tick_of_a_coarse_clock_the_last_one_holds(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    async with following(follow(database), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: texts == {"1": "one"})
        for text in ("a", "b", "a"):
            table.execute("UPDATE docs SET text = %s, changed = date_trunc('hour', now()) WHERE id = 1", [text])
            await running.until(lambda texts, text=text: texts == {"1": text})
        report = await running.end()

    assert report.counts.written == 4
    assert report.counts.unchanged <= 1  # of the first look; what stays the same is not looked up after that


async def test_without_delete_missing_nothing_is_removed(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    async with following(follow(database), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: set(texts) == {"1"})
        table.execute("DELETE FROM docs")
        table.execute("INSERT INTO docs VALUES (2, 'two')")
        await running.until(lambda texts: set(texts) == {"1", "2"})
        report = await running.end()

    assert report.counts.removed == 0


async def test_a_server_that_ends_the_connection_is_asked_again(
    database: str, table: psycopg.Connection, index: EmbeddedIndex, tmp_path: Path
) -> None:
    async with following(follow(database), index, tmp_path / "rejects") as running:
        await running.until(lambda texts: set(texts) == {"1"})
        table.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'connector'")
        table.execute("INSERT INTO docs VALUES (2, 'two')")
        await running.until(lambda texts: set(texts) == {"1", "2"})


async def test_a_column_that_is_no_time_is_refused(database: str, table: psycopg.Connection) -> None:
    with pytest.raises(SourceError, match=r"has no column 'when'.*it has id, text, changed"):
        follow(database, **{"postgres.updated_at": "when"})
    followed = follow(database, **{"postgres.updated_at": "id"})
    with pytest.raises(SourceError, match="column 'id' is no time but integer"):
        await followed.begin()
    await followed.close()
    with pytest.raises(SourceError, match="name its column with the time"):
        follow(database, **{"postgres.updated_at": None})
