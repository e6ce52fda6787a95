"""A file of many rows that goes on: it is read again as a whole where it has changed.

Rows that did not change cost a look into the index each. Rows that the last reading had and this one lacks are removed,
where this one came to its end and all its ids could be read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from connector.ingest.following.files import read_state
from connector.ingest.following.quiet import ChangedFiles
from connector.ingest.following.source import FollowTarget, SourceLag, SourceStep
from connector.ingest.following.watch import Watch
from connector.ingest.seen import SeenIds
from connector.ingest.sources import Source
from connector.settings.follow import FollowSettings

REMOVED_TOGETHER = 5_000


class FollowedFile:
    """The rows of a file, and what becomes of them. The folder is watched, as files are replaced by others."""

    def __init__(self, path: Path, source: Source, settings: FollowSettings) -> None:
        self.source = source
        self._path = path = path.absolute()  # not resolved: a link may come to lead elsewhere
        self._settings = settings
        self._watch = Watch(path.parent, recursive=False)
        self._changed = ChangedFiles(settings.quiet_s)
        self._read = read_state(path)
        self._seen: SeenIds | None = None

    async def will_make(self) -> list[str]:
        return []

    async def begin(self) -> None:
        await self._watch.begin()
        self._read = read_state(self._path)

    async def steps(self, target: FollowTarget) -> AsyncGenerator[SourceStep, None]:
        async for step in self._reading():
            yield step
        while True:
            self._look()
            if state := self._changed.quiet().get(self._path):
                async for step in self._reading():
                    yield step
                self._read = state
                self._changed.drop(self._path)
            else:
                waiting = len(self._changed)
                await self._watch.wait(self._settings.quiet_s if waiting else self._settings.rescan_s)

    def lag(self) -> SourceLag:
        return SourceLag(self._changed.oldest_s(), len(self._changed), "file")

    async def close(self) -> None:
        await self._watch.close()
        if self._seen:
            self._seen.close()

    def _look(self) -> None:
        """A file that is not there now has lost no rows: it may be about to be replaced."""
        state = read_state(self._path)
        if state is None or state == self._read:
            self._changed.drop(self._path)
        else:
            self._changed.add(self._path, state)

    async def _reading(self) -> AsyncGenerator[SourceStep, None]:
        """The file read as a whole, then what the last reading had and this one lacks."""
        last, now = self._seen, SeenIds()
        self._seen = now
        whole = SourceStep(self.source, is_whole=True, seen=now)
        yield whole
        report = whole.report
        if last is None:
            return
        if report is None or report.source_broke_off or report.unreadable or not report.counts.read:
            _keep_all(last, now)  # what is missing is not known
            self._seen = last
            if report and not report.counts.read and not report.source_broke_off:
                yield SourceStep(note=f"{self._path.name} was empty for a while; nothing was removed")
            return
        for doc_ids in last.batches(REMOVED_TOGETHER):
            if missing := now.missing_from(doc_ids):
                yield SourceStep(removed=missing)
        last.close()


def _keep_all(kept: SeenIds, added: SeenIds) -> None:
    """Both in one; the other is closed."""
    for doc_ids in added.batches(REMOVED_TOGETHER):
        for doc_id in doc_ids:
            kept.keep(doc_id)
    added.close()
