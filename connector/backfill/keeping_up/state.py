"""Up to where the passages of an index are known to be right, kept on disk between two runs.

It is only ever too low, never too high: it moves once what was read before it is written. Where it is of another index,
another history or another back-fill, it is void, and every document is looked at anew."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from connector.backfill.keeping_up.checkpoints import IndexCheckpoints
from connector.backfill.scan import NONE_YET
from connector.errors import DiskError, SettingsError
from connector.file_locks import take
from connector.whole_file import write_whole

STATE_VERSION = 1
UUID_CHARS = 8  # that tell indices of one name apart in the names of files


@dataclass(frozen=True, slots=True)
class FollowState:
    """What was followed, and up to which sequence number of each shard it was."""

    index: str
    uuid: str
    generation: str  # of the back-fill: encoder, text fields, passage settings
    histories: tuple[str, ...]
    upto: tuple[int, ...]
    refused: tuple[tuple[int, ...], ...]  # below that: the writes of documents whose passages the engine did not take
    swept_at: float | None = None  # seconds since 1970, when a search for all that lack passages began
    lacking_after: tuple[int, ...] = ()  # where another job fills what is older, in the first round alone

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

    def is_sweep_due(self, now: float, every_s: float) -> bool:
        """Whether the last sweep was so long ago; also where the clock was set back behind it."""
        return self.swept_at is None or not 0 <= now - self.swept_at < every_s


def begin_anew(index: str, generation: str, now: IndexCheckpoints) -> FollowState:
    """The state in which every document is still to be looked at."""
    histories = tuple(shard.history for shard in now.shards)
    shards = len(now.shards)
    return FollowState(index, now.uuid, generation, histories, (NONE_YET,) * shards, ((),) * shards)


def name_files(name: str, uuid: str) -> str:
    """How the files of a follower's begin. Two indices of one name, on two clusters, have different ones; the uuid is
    empty where the credentials may not see it."""
    return f"{name}.{uuid[:UUID_CHARS]}" if uuid else name


class StateFile:
    """The file that one follower writes. Without a path, nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """The file is this follower's alone for as long as the block lasts, and no longer than its process.

        Raises SettingsError where it is another's, or where no file can be written."""
        if self.path is None:
            yield
            return
        file = Path(os.path.realpath(self.path))  # so that a link and what it leads to have one lock
        try:
            lock = file.with_name(f"{file.name}.lock").open("w", encoding="ascii")
        except OSError as error:
            raise SettingsError(f"no state can be kept in {self.path} ({error}); name another --state") from error
        with lock:
            if not take(lock.fileno()):
                raise SettingsError(
                    f"another connector follow keeps its state in {self.path}, and so follows this index already; end "
                    "that one first (a second one would encode everything twice)"
                )
            yield

    def read(self) -> FollowState | None:
        """What was kept; None where there is no such file. Raises SettingsError for a file that is something else."""
        if self.path is None or not self.path.exists():
            return None
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            if kept.pop("version") != STATE_VERSION:
                raise ValueError("it is of another version")
            lists = {name: tuple(kept[name]) for name in ("histories", "upto", "lacking_after")}
            return FollowState(**kept | lists | {"refused": tuple(map(tuple, kept["refused"]))})
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            raise SettingsError(
                f"{self.path} is not the state of connector follow ({error}); delete it, or name another --state"
            ) from error

    def forget(self) -> None:
        """What was kept holds no more."""
        if self.path is not None:
            Path(os.path.realpath(self.path)).unlink(missing_ok=True)  # a link stays a link

    def keep(self, state: FollowState) -> None:
        """Replace the file at one stroke, so that a kill leaves the one before or this one. Raises DiskError."""
        if self.path is None:
            return
        try:
            write_whole(self.path, json.dumps({"version": STATE_VERSION} | asdict(state)))
        except OSError as error:
            raise DiskError(f"cannot keep the state in {self.path}: {error}; free space there") from error


def moved_to(
    state: FollowState, upto: Sequence[int], refused: Sequence[Sequence[int]], swept_at: float | None
) -> FollowState:
    """The state after a round up to these numbers, in which the engine refused some documents."""
    refused_numbers = tuple(tuple(sorted(numbers)) for numbers in refused)
    return replace(state, upto=tuple(upto), refused=refused_numbers, swept_at=swept_at, lacking_after=())


def moved_within(state: FollowState, upto: Sequence[int], refused: Sequence[Sequence[int]]) -> FollowState:
    """The state amid a round, of which all up to these numbers is written. What was refused before may not have been
    tried again yet."""
    furthest = tuple(map(max, state.upto, upto))
    known = tuple(tuple(sorted({*before, *more})) for before, more in zip(state.refused, refused, strict=True))
    return replace(state, upto=furthest, refused=known)
