"""A folder of documents that goes on: files that come, change, move and go.

The folder is listed before it is read as a whole. After that a file is read again where its state is no longer the one
that was listed, and its document goes where the file has gone. What the system tells of changes says where to look, and
every `follow.rescan_s` seconds all is looked through, since it does not tell of everything: network drives, targets of
links, what comes while a watch is set."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from connector.ingest.following.files import FileState, Listing, ReadFiles, list_files
from connector.ingest.following.quiet import ChangedFiles
from connector.ingest.following.source import FollowTarget, SourceLag, SourceStep
from connector.ingest.following.watch import Watch
from connector.ingest.sources import Source
from connector.ingest.sources.folder import FolderSource, file_id
from connector.settings.follow import FollowSettings

UNWATCHED_S = 5.0  # where the system tells nothing, all is looked through so often


class FollowedFolder:
    """The documents of a folder, and what becomes of them."""

    def __init__(self, folder: Path, settings: FollowSettings) -> None:
        self._folder = folder = folder.resolve()
        self.source: Source = FolderSource(folder)
        self._settings = settings
        self._watch = Watch(folder, recursive=True)
        self._read = ReadFiles()
        self._changed = ChangedFiles(settings.quiet_s)
        self._gone: dict[Path, float] = {}  # since when
        self._looked_at = 0.0

    async def will_make(self) -> list[str]:
        return []

    async def begin(self) -> None:
        await self._watch.begin()
        listing = await asyncio.to_thread(list_files, self._folder)
        for path, state in listing.files.items():
            self._read.set(path, state)
        self._looked_at = time.monotonic()

    async def steps(self, target: FollowTarget) -> AsyncGenerator[SourceStep, None]:
        yield SourceStep(self.source, is_whole=True)
        await self._look([self._folder])  # what changed while it was read
        while True:
            while (taken := self._quiet()).size:
                yield SourceStep(taken.rows(self._folder), taken.removed(self._folder))
                self._forget(taken)
            paths = await self._watch.wait(self._pause_s())
            is_due = time.monotonic() - self._looked_at >= self._rescan_s
            await self._look([self._folder] if is_due else {*paths, *self._changed.paths(), *self._gone})

    def lag(self) -> SourceLag:
        gone_s = max((time.monotonic() - since for since in self._gone.values()), default=0.0)
        return SourceLag(max(self._changed.oldest_s(), gone_s), len(self._changed) + len(self._gone), "files")

    async def close(self) -> None:
        await self._watch.close()
        self._read.close()

    @property
    def _rescan_s(self) -> float:
        return min(UNWATCHED_S, self._settings.rescan_s) if self._watch.failure else self._settings.rescan_s

    def _pause_s(self) -> float:
        left_s = max(self._looked_at + self._rescan_s - time.monotonic(), 0.0)
        return min(left_s, self._settings.quiet_s) if len(self._changed) or self._gone else left_s

    async def _look(self, paths: Iterable[Path]) -> None:
        """Note what is there now at these paths and is not as it was read."""
        before = _which(self._folder)
        listed = await asyncio.to_thread(_list_each, list(paths)) if before else []
        if before is None or _which(self._folder) != before:  # a drive that is not mounted has lost no documents
            self._gone.clear()
            self._looked_at = time.monotonic() if before is None else 0.0
            return
        for path, listing in listed:
            self._note(path, listing)
            if path == self._folder:
                self._looked_at = time.monotonic()

    def _note(self, path: Path, listing: Listing) -> None:
        for file, state in listing.files.items():
            self._gone.pop(file, None)
            if self._read.get(file) == state:
                self._changed.drop(file)
            else:
                self._changed.add(file, state)
        for file in self._changed.paths():
            if file.is_relative_to(path) and file not in listing.files:
                self._changed.drop(file)
        for file in self._read.below(path):
            if file not in listing.files and not any(file.is_relative_to(folder) for folder in listing.unlisted):
                self._gone.setdefault(file, time.monotonic())

    def _quiet(self) -> _Taken:
        """What can be written now, up to `follow.batch_documents`."""
        room = self._settings.batch_documents
        now = time.monotonic()
        quiet = dict(islice(self._changed.quiet().items(), room))
        gone = (path for path, since in self._gone.items() if now - since >= self._settings.quiet_s)
        return _Taken(quiet, list(islice(gone, room - len(quiet))))

    def _forget(self, taken: _Taken) -> None:
        """A step was taken: its files were read in the state in which they stood still, or a newer one."""
        for path, state in taken.files.items():
            self._read.set(path, state)
            self._changed.drop(path)
        for path in taken.gone:
            self._read.forget(path)
            del self._gone[path]


@dataclass(frozen=True, slots=True)
class _Taken:
    """Files that are written in one step, in the states in which they stood still; and files that are gone."""

    files: Mapping[Path, FileState]
    gone: Sequence[Path]

    @property
    def size(self) -> int:
        return len(self.files) + len(self.gone)

    def rows(self, folder: Path) -> FolderSource | None:
        return FolderSource(folder, sorted(self.files)) if self.files else None

    def removed(self, folder: Path) -> list[str]:
        return [file_id(path, folder) for path in self.gone]


def _which(folder: Path) -> tuple[int, int] | None:
    """Which folder that is, on which device; None where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _list_each(paths: Sequence[Path]) -> list[tuple[Path, Listing]]:
    return [(path, list_files(path)) for path in paths]
