"""Which source that goes on is at a location."""

from __future__ import annotations

import stat
from pathlib import Path

from connector.errors import SourceError
from connector.extras import needs
from connector.ingest.following.file import FollowedFile
from connector.ingest.following.folder import FollowedFolder
from connector.ingest.following.source import FollowedSource
from connector.ingest.sources import Source, open_source
from connector.ingest.sources.folder import FolderSource
from connector.ingest.sources.opening import STANDARD_INPUT, beir_corpus, is_postgres
from connector.settings.sections import Settings


def open_followed(location: str, settings: Settings, *, delete_missing: bool = False) -> FollowedSource:
    """The source at a location, as `open_source` knows it, and what becomes of it.

    Raises SourceError for what is not there, not known, or does not go on."""
    source = open_source(location, settings)
    if is_postgres(location):
        return _open_postgres(location, settings, source, delete_missing)
    path = Path(location).expanduser()
    if location in STANDARD_INPUT or stat.S_ISFIFO(path.stat().st_mode):
        raise SourceError(f"{location!r} is a stream, which has an end; ingest it without --follow")
    if path.is_dir() and isinstance(source, FolderSource):
        return FollowedFolder(path, settings.follow)
    return FollowedFile(beir_corpus(path) or path, source, settings.follow)


def _open_postgres(location: str, settings: Settings, source: Source, delete_missing: bool) -> FollowedSource:
    with needs("postgres", "following PostgreSQL"):
        from connector.ingest.following.postgres_updates import FollowedTable
        from connector.ingest.sources.postgres import PostgresSource
    assert isinstance(source, PostgresSource)
    if not settings.postgres.updated_at:
        raise SourceError(
            "to follow a table, name its column with the time of a row's last change: --updated-at COLUMN "
            "(postgres.updated_at)"
        )
    return FollowedTable(location, settings, source, delete_missing=delete_missing)
