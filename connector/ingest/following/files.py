"""What a folder holds, with what tells that a file has changed; and which files were read in which state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from connector.ingest.scratch_table import scratch_table
from connector.ingest.sources.folder import KINDS


@dataclass(frozen=True, slots=True)
class FileState:
    """What changes with a file: its size, its times, and its inode, which a file that is moved here brings along."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int


def read_state(path: Path) -> FileState | None:
    """The state of what a path leads to; None where there is nothing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


@dataclass(slots=True)
class Listing:
    """The files of known kinds at a path or below it, and the folders of which nothing is known now."""

    files: dict[Path, FileState] = field(default_factory=dict)
    unlisted: list[Path] = field(default_factory=list)


def list_files(path: Path) -> Listing:
    """What is at a path: itself, or where it is a folder all files of known kinds in it. Links to folders are not
    followed."""
    listing = Listing()
    if path.is_dir() and not path.is_symlink():
        for parent, _, names in os.walk(path, onerror=lambda error: _keep(listing, error)):
            for name in names:
                _add(listing, Path(parent, name))
    else:
        _add(listing, path)
    return listing


def _add(listing: Listing, file: Path) -> None:
    if file.suffix.lower() in KINDS and not file.is_dir() and (state := read_state(file)):
        listing.files[file] = state


def _keep(listing: Listing, error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # what went away meanwhile holds nothing
        listing.unlisted.append(Path(error.filename))


class ReadFiles:
    """Which file was last read in which state."""

    def __init__(self) -> None:
        self._database = scratch_table("files", "path BLOB PRIMARY KEY, size, modified, changed, inode")

    def set(self, path: Path, state: FileState) -> None:
        values = (os.fsencode(path), state.size, state.modified_ns, state.changed_ns, state.inode)
        self._database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", values)

    def forget(self, path: Path) -> None:
        self._database.execute("DELETE FROM files WHERE path = ?", (os.fsencode(path),))

    def get(self, path: Path) -> FileState | None:
        ask = "SELECT size, modified, changed, inode FROM files WHERE path = ?"
        found = self._database.execute(ask, (os.fsencode(path),)).fetchone()
        return FileState(*found) if found else None

    def below(self, path: Path) -> Iterator[Path]:
        """Those at a path or below it."""
        name = os.fsencode(path)
        ask = "SELECT path FROM files WHERE path = ? OR (path > ? AND path < ?)"
        for (found,) in self._database.execute(ask, (name, name + b"/", name + b"0")).fetchall():
            yield Path(os.fsdecode(found))

    def close(self) -> None:
        self._database.close()
