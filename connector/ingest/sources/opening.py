"""Which source is at a location."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from connector.errors import SettingsError, SourceError
from connector.extras import needs
from connector.ingest.sources.delimited import read_csv, read_tsv
from connector.ingest.sources.folder import KINDS, FolderSource
from connector.ingest.sources.jsonl import read_json
from connector.ingest.sources.lines import LineSource, ReadRows
from connector.ingest.sources.plugged import PluggedSource
from connector.ingest.sources.row import Source
from connector.ingest.sources.streams import DECOMPRESSORS, FileInput, StreamInput, is_special
from connector.plugins import Plugin, find_plugin, scheme_of
from connector.settings.sections import Settings

BEIR_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")
STANDARD_INPUT = ("-", "/dev/stdin")
KAFKA_SCHEME = "kafka://"
POSTGRES_SCHEMES = ("postgresql://", "postgres://")
LINE_READERS: dict[str, ReadRows] = {
    ".jsonl": read_json,
    ".ndjson": read_json,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
}
UNTYPED = (".csv", ".tsv")
KNOWN = (
    ".jsonl, .ndjson, .json, .csv, .tsv (also .gz, .bz2, .xz), .parquet, .txt, .md, .html, .pdf, folders of these, "
    "postgresql://..., kafka://..., and - for JSON Lines from a pipe"
)


def open_source(location: str, settings: Settings | None = None) -> Source:
    """The source at a path: JSON, CSV, TSV (each also compressed), Parquet, a BEIR folder, a folder of documents;
    a stream: `-` and named pipes are JSON Lines unless their name says otherwise; postgresql://... for rows of a
    database; or NAME:... for the source of a plug-in, which gets what `plugins` has of that name. A file of such a name
    comes first.

    Raises SourceError for what is not there or not known, PluginError for a plug-in that does not work."""
    if location in STANDARD_INPUT:
        return LineSource(StreamInput(None), read_json)
    settings = settings or Settings()
    if is_postgres(location):
        with needs("postgres", "reading PostgreSQL"):
            from connector.ingest.sources.postgres import PostgresSource
        return PostgresSource(location, settings.postgres)
    if location.startswith(KAFKA_SCHEME):
        raise SourceError(f"{location} is a topic, which has no end; follow it: --follow")
    if (scheme := scheme_of(location)) and not os.path.lexists(location):
        plugin = _find_plugin(location, scheme)
        given = settings.plugins.get(scheme)
        return PluggedSource(plugin, location, given.plain if given else {})
    path, mode = _look_up(location)
    if stat.S_ISDIR(mode):
        return _open_folder(path)
    kind = _kind(path)
    if stat.S_ISFIFO(mode):
        if kind and kind not in LINE_READERS:
            raise SourceError(f"{location!r} is a named pipe, through which only JSON Lines, CSV and TSV can be read")
        return LineSource(StreamInput(path), LINE_READERS.get(kind, read_json), typed=kind not in UNTYPED)
    if special := is_special(mode):
        raise SourceError(f"{location!r} is no regular file but {special}")
    if kind in LINE_READERS:
        return LineSource(FileInput(path), LINE_READERS[kind], typed=kind not in UNTYPED)
    if kind == path.suffix.lower():
        if kind == ".parquet":
            with needs("files", "reading Parquet"):
                from connector.ingest.sources.parquet import ParquetSource
            return ParquetSource(path)
        if kind in KINDS:
            return FolderSource(path.parent, [path])
    raise SourceError(f"{location!r} is of no known kind; known are {KNOWN}")


def is_postgres(location: str) -> bool:
    """Whether it is the URL of a database. Raises SourceError where that holds a password."""
    if not location.startswith(POSTGRES_SCHEMES):
        return False
    try:
        password = urlsplit(location).password or "password" in parse_qs(urlsplit(location).query)
    except ValueError as error:
        raise SourceError(f"{location.partition('@')[2] or location} is no address ({error})") from None
    if password:
        raise SourceError(
            "the URL holds a password, which would end up in messages; leave it out, and set PGPASSWORD, "
            "postgres.password or ~/.pgpass"
        )
    return True


def _find_plugin(location: str, scheme: str) -> Plugin:
    try:
        return find_plugin("source", scheme, wanted_by=f"there is no file {location!r}")
    except SettingsError as error:
        raise SourceError(str(error)) from None


def _look_up(location: str) -> tuple[Path, int]:
    try:
        path = Path(location).expanduser()
        return path, path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(
            f"there is no {location!r}; give a file (.jsonl, .csv, .tsv, .parquet, also .gz) or a folder"
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise SourceError(f"cannot open {location!r}: {reason}") from error


def beir_corpus(path: Path) -> Path | None:
    """The file of the documents of a folder in BEIR's layout; None where the path is none."""
    return next((path / name for name in BEIR_CORPUS if (path / name).is_file()), None)


def _open_folder(path: Path) -> Source:
    corpus = beir_corpus(path)
    return LineSource(FileInput(corpus), read_json) if corpus else FolderSource(path)


def _kind(path: Path) -> str:
    """The suffix that says what is inside, in lower case."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) > 1 and suffixes[-1] in DECOMPRESSORS:
        return suffixes[-2]
    return suffixes[-1] if suffixes else ""
