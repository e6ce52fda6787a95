"""The replication slot and the publication that a table is followed by: looked at, made, and dropped.

The server keeps what a slot has not acknowledged, until its disk is full. So both are made only where the user agrees,
and have a comment that says what for. That comment also remembers into which index the table was written as a whole: a
killed command goes on from the slot then, instead of reading all of the table again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from connector.errors import SourceError
from connector.ingest.following.source import FollowTarget
from connector.ingest.sources.postgres_relation import Relation, first_line

MADE_BY = "connector ingest --follow"
INDEX = "index"

SLOT = """
SELECT plugin, database = current_database(), active, wal_status,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END
        - confirmed_flush_lsn)::bigint
FROM pg_replication_slots WHERE slot_name = %s
"""
IDENTITY = """
SELECT c.relreplident::text, coalesce((
    SELECT array_agg(a.attname::text) FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
    WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END
), '{}') FROM pg_class c WHERE c.oid = %s
"""
PUBLISHED = """
SELECT EXISTS (SELECT 1 FROM pg_publication_tables t JOIN pg_class c ON c.relname = t.tablename
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname
    WHERE t.pubname = p.pubname AND c.oid = %s), obj_description(p.oid, 'pg_publication')
FROM pg_publication p WHERE p.pubname = %s
"""


@dataclass(frozen=True, slots=True)
class SlotNames:
    """What the slot and the publication are called."""

    slot: str
    publication: str


@dataclass(frozen=True, slots=True)
class SlotState:
    """What is there: the slot with how many bytes it is behind, the publication with what its comment remembers."""

    has_slot: bool
    behind_bytes: int
    has_publication: bool
    remembered: dict[str, Any]

    def has_all_of(self, target: FollowTarget) -> bool:
        """Whether the table was written as a whole into that index, and the slot was there since."""
        return self.has_slot and not target.is_new and self.remembered.get(INDEX) == target.name


def look_at_slot(connection: psycopg.Connection[Any], names: SlotNames, relation: Relation) -> SlotState:
    """What is there of the slot and the publication. Raises SourceError where it cannot be followed by."""
    level = connection.execute("SELECT current_setting('wal_level')").fetchone()
    if level and level[0] != "logical":
        raise SourceError(
            f"the server has wal_level = {level[0]}; logical replication needs wal_level = logical in postgresql.conf, "
            "and a restart; --updated-at COLUMN works without"
        )
    slot = connection.execute(SLOT, [names.slot]).fetchone()
    if slot:
        _check_slot(names.slot, *slot[:4])
    publication = connection.execute(PUBLISHED, [relation.oid, names.publication]).fetchone()
    if publication and not publication[0]:
        raise SourceError(
            f"publication {names.publication} does not have the table: ALTER PUBLICATION {names.publication} ADD TABLE "
            f"{relation.name}"
        )
    remembered = _read_comment(publication[1]) if publication else {}
    return SlotState(slot is not None, int(slot[4] or 0) if slot else 0, publication is not None, remembered)


def _check_slot(name: str, plugin: str, is_here: bool, is_active: bool, wal_status: str | None) -> None:
    if plugin != "pgoutput" or not is_here:
        raise SourceError(f"slot {name} is of another kind, or of another database; give another name: --slot NAME")
    if wal_status == "lost":
        raise SourceError(
            f"slot {name} fell so far behind that the server has dropped what it needs (max_slot_wal_keep_size); drop "
            "it (--drop-slot) and follow anew"
        )
    if is_active:
        raise SourceError(f"slot {name} is being read by another process; end that one, or give another name: --slot")


def check_identity(connection: psycopg.Connection[Any], relation: Relation, id_column: str) -> None:
    """Raise SourceError where deletions would not say which document is meant."""
    if id_column not in relation.columns:
        raise SourceError(f"ids are taken from {id_column!r}, which is no column of {relation.name}")
    found = connection.execute(IDENTITY, [relation.oid]).fetchone()
    assert found
    kind, columns = found
    if kind == "f" or (kind in ("d", "i") and id_column in columns):
        return
    raise SourceError(
        f"updates and deletions of {relation.name} do not say the {id_column!r} of the row, since it is not in the "
        f"table's replica identity; run: ALTER TABLE {relation.name} REPLICA IDENTITY FULL, or USING INDEX with a "
        "unique index on it"
    )


def make_slot(connection: psycopg.Connection[Any], names: SlotNames, relation: Relation, state: SlotState) -> None:
    """Make what is missing. Raises SourceError."""
    try:
        if not state.has_publication:
            options = sql.SQL("publish_via_partition_root = true")
            connection.execute(
                sql.SQL("CREATE PUBLICATION {} FOR TABLE {} WITH ({})").format(
                    sql.Identifier(names.publication), relation.source, options
                )
            )
            remember(connection, names, None)
        if not state.has_slot:
            connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [names.slot])
    except psycopg.Error as error:
        raise SourceError(
            f"cannot make slot {names.slot} and publication {names.publication}: {first_line(error)}; the user needs "
            "the attribute REPLICATION, and to own the table"
        ) from error


def remember(connection: psycopg.Connection[Any], names: SlotNames, index: str | None) -> bool:
    """Keep in the publication's comment into which index all was written (None: into none yet); whether that was
    allowed."""
    comment = json.dumps({"made by": MADE_BY, INDEX: index})
    statement = sql.SQL("COMMENT ON PUBLICATION {} IS {}").format(sql.Identifier(names.publication), comment)
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def drop_slot(connection: psycopg.Connection[Any], names: SlotNames) -> list[str]:
    """Drop the slot, and the publication where it is ours; what was dropped. Raises SourceError."""
    dropped = []
    try:
        if connection.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", [names.slot]).fetchone():
            connection.execute("SELECT pg_drop_replication_slot(%s)", [names.slot])
            dropped.append(f"slot {names.slot}")
        publication = connection.execute(PUBLISHED, [0, names.publication]).fetchone()
        if publication and _read_comment(publication[1]).get("made by") == MADE_BY:
            connection.execute(sql.SQL("DROP PUBLICATION {}").format(sql.Identifier(names.publication)))
            dropped.append(f"publication {names.publication}")
    except psycopg.Error as error:
        raise SourceError(f"cannot drop slot {names.slot}: {first_line(error)}") from error
    return dropped


def _read_comment(comment: str | None) -> dict[str, Any]:
    try:
        read = json.loads(comment or "")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
