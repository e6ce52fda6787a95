"""Which source that goes on is at a location."""

from __future__ import annotations

import stat
from pathlib import Path

from connector.errors import SourceError
from connector.ingest.following.file import FollowedFile
from connector.ingest.following.folder import FollowedFolder
from connector.ingest.following.source import FollowedSource
from connector.ingest.sources import open_source
from connector.ingest.sources.folder import FolderSource
from connector.ingest.sources.opening import STANDARD_INPUT, beir_corpus
from connector.settings.sections import Settings


def open_followed(location: str, settings: Settings) -> FollowedSource:
    """The source at a location, as `open_source` knows it, and what becomes of it.

    Raises SourceError for what is not there, not known, or does not go on."""
    source = open_source(location)
    path = Path(location).expanduser()
    if location in STANDARD_INPUT or stat.S_ISFIFO(path.stat().st_mode):
        raise SourceError(f"{location!r} is a stream, which has an end; ingest it without --follow")
    if path.is_dir() and isinstance(source, FolderSource):
        return FollowedFolder(path, settings.follow)
    return FollowedFile(beir_corpus(path) or path, source, settings.follow)
