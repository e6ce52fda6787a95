"""Files that changed and are not read yet: a file that is still being written is left alone until it stands still."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from connector.ingest.following.files import FileState

PATIENCE = 60  # times as long as a file has to stand still; one that never does is read after that as it is


@dataclass(slots=True)
class _Changed:
    """A file's last known state, since when it has it, and since when the file has been changing."""

    state: FileState
    still_since: float
    changing_since: float


class ChangedFiles:
    """Files by the state in which they wait to be read."""

    def __init__(self, quiet_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet_s = quiet_s
        self._clock = clock
        self._changed: dict[Path, _Changed] = {}

    def __len__(self) -> int:
        return len(self._changed)

    def paths(self) -> list[Path]:
        return list(self._changed)

    def add(self, path: Path, state: FileState) -> None:
        """The file was seen in this state, which is not the one that was read."""
        now = self._clock()
        known = self._changed.get(path)
        if known is None:
            self._changed[path] = _Changed(state, now, now)
        elif known.state != state:
            known.state, known.still_since = state, now

    def drop(self, path: Path) -> None:
        self._changed.pop(path, None)

    def quiet(self) -> dict[Path, FileState]:
        """Those that can be read now."""
        now = self._clock()
        return {
            path: changed.state
            for path, changed in self._changed.items()
            if now - changed.still_since >= self._quiet_s or now - changed.changing_since >= PATIENCE * self._quiet_s
        }

    def oldest_s(self) -> float:
        """Since how long the first of them has been waiting; 0 where none does."""
        first = min((changed.changing_since for changed in self._changed.values()), default=None)
        return 0.0 if first is None else self._clock() - first
