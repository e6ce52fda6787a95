"""SHA-256 of files, each read once as long as it stays as it is. That of a long one is remembered between processes:
reading a model's weights takes as long as loading its graph."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

from connector.models.cache import cache_folder
from connector.whole_file import write_whole

REMEMBERED_BYTES = 1_000_000


def file_sha256(file: Path) -> str:
    about = file.stat()
    # the time of the last change of the file's entry moves with every write, and nobody can set it back
    return _sha256_of(file, (about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino))


@cache
def _sha256_of(file: Path, state: tuple[int, ...]) -> str:
    """The hash of a file in this state."""
    if state[0] < REMEMBERED_BYTES:
        return _read(file)
    memory = cache_folder() / "hashes" / f"{hashlib.sha256(os.fsencode(file.resolve())).hexdigest()[:16]}.json"
    if known := _remembered(memory, state):
        return known
    sha256 = _read(file)
    with suppress(OSError):  # then the next process reads the file again
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_whole(memory, json.dumps({"state": state, "sha256": sha256}) + "\n")
    return sha256


def _remembered(memory: Path, state: tuple[int, ...]) -> str | None:
    """The hash of the file that was in this state; None where another state, or nothing that is ours, is kept."""
    try:
        known = json.loads(memory.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    is_same = isinstance(known, dict) and known.get("state") == list(state)
    return known.get("sha256") if is_same else None


def _read(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
