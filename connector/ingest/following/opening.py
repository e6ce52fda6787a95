"""Which source that goes on is at a location."""

from __future__ import annotations

import stat
from contextlib import closing
from pathlib import Path

from connector.errors import SourceError
from connector.extras import needs
from connector.ingest.following.file import FollowedFile
from connector.ingest.following.folder import FollowedFolder
from connector.ingest.following.source import FollowedSource
from connector.ingest.sources import Source, open_source
from connector.ingest.sources.folder import FolderSource
from connector.ingest.sources.opening import KAFKA_SCHEME, STANDARD_INPUT, beir_corpus, is_postgres
from connector.ingest.sources.plugged import PluggedSource
from connector.settings.sections import Settings


def open_followed(location: str, settings: Settings, *, delete_missing: bool = False) -> FollowedSource:
    """The source at a location, as `open_source` knows it, and what becomes of it.

    Raises SourceError for what is not there, not known, or does not go on."""
    if location.startswith(KAFKA_SCHEME):
        return _open_topic(location, settings, delete_missing)
    source = open_source(location, settings)
    if is_postgres(location):
        return _open_postgres(location, settings, source, delete_missing)
    if isinstance(source, PluggedSource):
        raise SourceError(f"{location} is the source of a plug-in, which does not say what changes; ingest it again")
    path = Path(location).expanduser()
    if location in STANDARD_INPUT or stat.S_ISFIFO(path.stat().st_mode):
        raise SourceError(f"{location!r} is a stream, which has an end; ingest it without --follow")
    if path.is_dir() and isinstance(source, FolderSource):
        return FollowedFolder(path, settings.follow)
    return FollowedFile(beir_corpus(path) or path, source, settings.follow)


def _open_postgres(location: str, settings: Settings, source: Source, delete_missing: bool) -> FollowedSource:
    with needs("postgres", "following PostgreSQL"):
        from connector.ingest.following.postgres_replication import FollowedReplica
        from connector.ingest.following.postgres_updates import FollowedTable
        from connector.ingest.sources.postgres import PostgresSource
    assert isinstance(source, PostgresSource)
    if settings.postgres.slot:
        return FollowedReplica(location, settings, source, delete_missing=delete_missing)
    if not settings.postgres.updated_at:
        raise SourceError(
            "to follow a table, name its column with the time of a row's last change (--updated-at COLUMN), or a slot "
            "for logical replication (--slot NAME)"
        )
    return FollowedTable(location, settings, source, delete_missing=delete_missing)


def _open_topic(location: str, settings: Settings, delete_missing: bool) -> FollowedSource:
    brokers, _, topic = location.removeprefix(KAFKA_SCHEME).partition("/")
    if not brokers or not topic or "/" in topic:
        raise SourceError(f"{location} is no address of a topic; give kafka://HOST:PORT/TOPIC")
    if "@" in brokers:
        raise SourceError(
            "the address holds credentials, which would end up in messages; use kafka.username and .password"
        )
    if delete_missing:
        raise SourceError(
            "a topic does not say what it no longer has: leave out --delete-missing; a message without a value removes "
            "its document"
        )
    with needs("kafka", "following Kafka"):
        from connector.ingest.following.kafka_topic import FollowedTopic
    return FollowedTopic(brokers, topic, settings)


def followed_slot(location: str, settings: Settings) -> str:
    """The slot that a database was followed by. Raises SourceError where the location is none, or no slot is named."""
    if not (is_postgres(location) and settings.postgres.slot):
        raise SourceError("a slot is dropped of a database: connector ingest postgresql://... --slot NAME --drop-slot")
    return settings.postgres.slot


def drop_followed(location: str, settings: Settings) -> list[str]:
    """Drop the slot and the publication that a database was followed by; what was dropped. Raises SourceError."""
    slot = followed_slot(location, settings)
    with needs("postgres", "following PostgreSQL"):
        from connector.ingest.following.postgres_slot import SlotNames, drop_slot
        from connector.ingest.sources.postgres_relation import connect_to
    connection = connect_to(location, settings.postgres)
    with closing(connection):
        return drop_slot(connection, SlotNames(slot, settings.postgres.publication or slot))
