"""Where documents come from. A source yields rows; each row says where it was read, and how far the source is."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from connector.errors import SourceError
from connector.ingest.files import FILE_READERS, read_document_file

BEIR_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")
MAX_CSV_FIELD_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a source. `error` says why it could not be read; `raw` then holds what was there."""

    values: dict[str, Any]
    origin: str
    error: str | None = None
    raw: str | None = None


class Source(Protocol):
    """Yields rows, always in the same order. `progress` is the share read so far, 0 to 1."""

    progress: float
    id_field: str | None

    def __iter__(self) -> Iterator[Row]: ...


def open_source(location: str) -> Source:
    """The source at a path: JSON Lines, CSV, TSV (each also .gz), Parquet, a BEIR folder, or a folder of documents.

    Raises SourceError for what is not there or not known."""
    path = Path(location).expanduser()
    if not path.exists():
        raise SourceError(f"there is no {location!r}; give a file (.jsonl, .csv, .tsv, .parquet, also .gz) or a folder")
    if path.is_dir():
        for name in BEIR_CORPUS:
            if (path / name).is_file():
                return LineSource(path / name, _json_rows)
        return FolderSource(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else (suffixes[-1] if suffixes else "")
    match kind:
        case ".jsonl" | ".ndjson":
            return LineSource(path, _json_rows)
        case ".csv":
            return LineSource(path, lambda stream, name: _csv_rows(stream, name, delimiter=","))
        case ".tsv":
            return LineSource(path, lambda stream, name: _csv_rows(stream, name, delimiter="\t"))
        case ".parquet":
            return ParquetSource(path)
        case _ if kind in FILE_READERS:
            return FolderSource(path.parent, [path])
    raise SourceError(
        f"{location!r} is of no known kind; known are .jsonl, .csv, .tsv (also .gz), .parquet and folders of documents"
    )


class LineSource:
    """A text file, plain or gzip. Bytes that are not UTF-8 make their row an error; the rest is read on."""

    id_field: str | None = None

    def __init__(self, path: Path, read: Callable[[IO[bytes], str], Iterator[Row]]) -> None:
        self._path = path
        self._read = read
        self.progress = 0.0

    def __iter__(self) -> Iterator[Row]:
        size = max(self._path.stat().st_size, 1)
        try:
            with open(self._path, "rb") as raw:
                stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if self._path.suffix == ".gz" else raw  # type: ignore[assignment]
                for row in self._read(stream, self._path.name):
                    yield row
                    self.progress = min(raw.tell() / size, 1.0)
        except (OSError, EOFError, zlib.error, csv.Error) as error:
            raise SourceError(f"cannot read {self._path}: {error}") from error


class ParquetSource:
    """A Parquet file, read in batches of rows."""

    id_field: str | None = None
    BATCH_ROWS = 512

    def __init__(self, path: Path) -> None:
        self._path = path
        self.progress = 0.0

    def __iter__(self) -> Iterator[Row]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self._path) as file:
                total, number = max(file.metadata.num_rows, 1), 0
                for batch in file.iter_batches(batch_size=self.BATCH_ROWS):
                    for values in batch.to_pylist():
                        number += 1
                        yield Row(values, f"{self._path.name}:row {number}")
                        self.progress = number / total
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"cannot read {self._path}: {error}") from error


class FolderSource:
    """A folder of text, Markdown, HTML and PDF files: the id is the path, title and text come from the content."""

    id_field: str | None = "path"

    def __init__(self, folder: Path, files: list[Path] | None = None) -> None:
        self._folder = folder
        self._files = files
        self.progress = 0.0

    def __iter__(self) -> Iterator[Row]:
        files = self._files or sorted(file for file in self._folder.rglob("*") if file.suffix.lower() in FILE_READERS)
        if not files:
            raise SourceError(f"{self._folder} holds no file of a known kind ({', '.join(sorted(FILE_READERS))})")
        for number, file in enumerate(files, start=1):
            name = file.relative_to(self._folder).as_posix()
            try:
                document = read_document_file(file)
            except (OSError, ValueError) as error:
                yield Row({"path": name}, name, error=f"cannot read the file: {error}")
            else:
                yield Row({"path": name, "title": document.title or file.stem, "text": document.text}, name)
            self.progress = number / len(files)


def _json_rows(stream: IO[bytes], name: str) -> Iterator[Row]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        origin = f"{name}:{number}"
        try:
            values = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"), parse_constant=_not_finite)
        except UnicodeDecodeError as error:
            yield Row(
                {},
                origin,
                f"the line is not UTF-8 (byte {error.start}); convert the file",
                line.decode("utf-8", "backslashreplace"),
            )
        except (ValueError, RecursionError) as error:
            yield Row({}, origin, f"the line is not JSON: {error}", line.decode("utf-8", "replace"))
        else:
            if isinstance(values, dict):
                yield Row(values, origin)
            else:
                yield Row({}, origin, "the line is not a JSON object", line.decode())


def _csv_rows(stream: IO[bytes], name: str, *, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_CSV_FIELD_BYTES)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(text, delimiter=delimiter, strict=True)
    try:
        header = reader.fieldnames or []
        if len(header) < 2:
            raise SourceError(
                f"{name} has {len(header)} columns; its first line must name the columns, split by {delimiter!r}"
            )
        while True:
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row({}, f"{name}:{reader.line_num}", f"the line is not CSV: {error}")
                continue
            yield _csv_row(values, f"{name}:{reader.line_num}")
    finally:
        text.detach()


def _csv_row(values: dict[str, Any], origin: str) -> Row:
    raw = json.dumps(values, ensure_ascii=True, default=str)
    if None in values or None in values.values():
        return Row({}, origin, "the line has not as many columns as the header", raw)
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Row({}, origin, "the line is not UTF-8; convert the file", raw)
    return Row({name: value for name, value in values.items() if value != ""}, origin)


def _not_finite(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
