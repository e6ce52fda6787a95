"""Up to where the passages of an index are known to be right, kept on disk between two runs.

It is only ever too low, never too high: it moves once a round is written. Where it is of another index, another
history or another back-fill, it is void, and every document is looked at anew."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from connector.backfill.keeping_up.checkpoints import IndexCheckpoints
from connector.backfill.scan import NONE_YET
from connector.errors import SettingsError

STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class FollowState:
    """What was followed, and up to which sequence number of each shard it was."""

    index: str
    uuid: str
    generation: str  # of the back-fill: encoder, text fields, passage settings
    histories: tuple[str, ...]
    upto: tuple[int, ...]

    def why_void(self, generation: str, now: IndexCheckpoints) -> str | None:
        """Why nothing may be concluded from it about the index as it is now; None where it holds."""
        if self.uuid != now.uuid:
            return f"index {self.index!r} was made anew"
        if len(self.histories) != len(now.shards):
            return f"index {self.index!r} has {len(now.shards)} shards now, and had {len(self.histories)}"
        if self.generation != generation:
            return "the encoder, the text fields or the passage settings are others now"
        if any(history != shard.history for history, shard in zip(self.histories, now.shards, strict=True)):
            return f"a shard of index {self.index!r} has another history now, as after a restore"
        if any(number > shard.newest for number, shard in zip(self.upto, now.shards, strict=True)):
            return f"a shard of index {self.index!r} has lost operations, as after a failover"
        return None


def begin_anew(index: str, generation: str, now: IndexCheckpoints) -> FollowState:
    """The state in which every document is still to be looked at."""
    histories = tuple(shard.history for shard in now.shards)
    return FollowState(index, now.uuid, generation, histories, (NONE_YET,) * len(now.shards))


class StateFile:
    """The file that one follower writes. Without a path, nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> FollowState | None:
        """What was kept; None where there is no such file. Raises SettingsError for a file that is something else."""
        if self._path is None or not self._path.exists():
            return None
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            if kept.pop("version") != STATE_VERSION:
                raise ValueError("it is of another version")
            return FollowState(**kept | {name: tuple(kept[name]) for name in ("histories", "upto")})
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            raise SettingsError(
                f"{self._path} is not the state of connector follow ({error}); delete it, or name another --state"
            ) from error

    def keep(self, state: FollowState) -> None:
        """Replace the file at one stroke, so that a kill leaves the one before or this one. Raises SettingsError."""
        if self._path is None:
            return
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            with beside.open("w", encoding="utf-8") as file:
                json.dump({"version": STATE_VERSION} | asdict(state), file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise SettingsError(f"cannot keep the state in {self._path}: {error}; name another --state") from error


def moved_to(state: FollowState, upto: Sequence[int]) -> FollowState:
    """The state after a round up to these numbers."""
    return FollowState(state.index, state.uuid, state.generation, state.histories, tuple(upto))
