"""A source cut into shards that can be read apart, and that together have its rows in its order.

Cut are JSON Lines (at line ends, between two whole objects), Parquet (between row groups) and folders (between files).
What else there is, as CSV, whose quoted values may hold line ends, and what is packed, is one shard."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

from connector.errors import SourceError
from connector.extras import needs
from connector.ingest.ray.nodes import path_of
from connector.ingest.sources import Row, Source, open_source
from connector.ingest.sources.folder import FolderSource
from connector.ingest.sources.jsonl import read_json
from connector.ingest.sources.lines import LineSource
from connector.ingest.sources.opening import BEIR_CORPUS, STANDARD_INPUT
from connector.ingest.sources.streams import FileRange
from connector.settings.sections import Settings
from connector.signatures import HEAD_BYTES, packed_suffix

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
COUNTED_BYTES = 4 << 20  # read at once to count lines
LOOKED_AT_LINES = 1_000  # for a place to cut at


@dataclass(frozen=True, slots=True)
class SourceShard:
    """A part of the source at a location. `start` and `end` are bytes, row groups or files; `before` is how many lines
    or rows stand before it."""

    number: int
    location: str
    kind: Literal["whole", "lines", "groups", "files"] = "whole"
    start: int = 0
    end: int = 0
    before: int = 0


def check_location(location: str) -> None:
    """Raise SourceError for what only this process can read."""
    if location in STANDARD_INPUT or Path(location).is_fifo():
        raise SourceError("a pipe can be read by this process alone; write it to a file that every node of Ray sees")


def cut_source(location: str, count: int) -> list[SourceShard]:
    """At most so many shards of a source."""
    path = Path(path_of(location) or location)
    if not path.exists():
        return [SourceShard(0, location)]
    corpus = next((path / name for name in BEIR_CORPUS if (path / name).is_file()), None)
    if corpus is not None:
        path = corpus
    if path.is_dir():
        return [SourceShard(at, str(path), "files", at, count) for at in range(count)]
    if path.suffix.lower() == ".parquet" and path.is_file():
        return _cut_parquet(path, count)
    if path.suffix.lower() in JSON_SUFFIXES and path.is_file():
        return _cut_lines(path, count)
    return [SourceShard(0, str(path))]


def open_shard(shard: SourceShard, settings: Settings) -> Source:
    """The source of a shard. Raises SourceError."""
    path = Path(shard.location)
    match shard.kind:
        case "lines":
            return _LinesOfShard(shard)
        case "groups":
            with needs("files", "reading Parquet"):
                from connector.ingest.sources.parquet import ParquetSource
            return ParquetSource(path, groups=range(shard.start, shard.end))
        case "files":
            return FolderSource(path, part=(shard.start, shard.end))
    return open_source(shard.location, settings)


class _LinesOfShard(LineSource):
    """JSON Lines between two places of a file, numbered as in the whole file."""

    def __init__(self, shard: SourceShard) -> None:
        super().__init__(FileRange(Path(shard.location), shard.start, shard.end), read_json)
        self._before = shard.before

    def __iter__(self) -> Iterator[Row]:
        for row in super().__iter__():
            name, _, number = row.origin.rpartition(":")
            yield replace(row, origin=f"{name}:{int(number) + self._before}")


def _cut_parquet(path: Path, count: int) -> list[SourceShard]:
    with needs("files", "reading Parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        with pq.ParquetFile(path) as file:
            groups = file.num_row_groups
    except (OSError, pa.ArrowException):
        return [SourceShard(0, str(path))]  # whoever reads it says what is wrong
    places = sorted({groups * at // count for at in range(count + 1)})
    spans = itertools.pairwise(places)
    return [SourceShard(at, str(path), "groups", *span) for at, span in enumerate(spans)] or [SourceShard(0, str(path))]


def _cut_lines(path: Path, count: int) -> list[SourceShard]:
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        if packed_suffix(head) or b"\0" in head or not head.lstrip().startswith(b"{"):
            return [SourceShard(0, str(path))]
        places = sorted({0, size, *(_next_cut(file, size * at // count, size) for at in range(1, count))})
        lines = _count_lines(file, places[:-1])
    return [
        SourceShard(at, str(path), "lines", start, end, before)
        for at, ((start, end), before) in enumerate(zip(itertools.pairwise(places), lines, strict=True))
    ]


def _next_cut(file: IO[bytes], place: int, size: int) -> int:
    """The next place with a whole object on the line before and on the line behind; the end where there is none."""
    file.seek(place)
    file.readline()
    before = b""
    for _ in range(LOOKED_AT_LINES):
        at = file.tell()
        line = file.readline()
        if not line:
            return size
        if before and _is_object(before) and _is_object(line):
            return at
        before = line
    return size


def _is_object(line: bytes) -> bool:
    if not line.startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _count_lines(file: IO[bytes], places: list[int]) -> list[int]:
    """How many lines end before each of the places, which rise."""
    file.seek(0)
    counts, count, at = [], 0, 0
    for place in places:
        while at < place:
            data = file.read(min(COUNTED_BYTES, place - at))
            count += data.count(b"\n")
            at += len(data)
        counts.append(count)
    return counts
