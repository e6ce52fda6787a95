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
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(memory.read_text(encoding="ascii"))
        if tuple(known["state"]) == state:
            return str(known["sha256"])
    sha256 = _read(file)
    with suppress(OSError):  # then the next process reads the file again
        memory.parent.mkdir(parents=True, exist_ok=True)
        partial = memory.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps({"state": state, "sha256": sha256}) + "\n", encoding="ascii")
        os.replace(partial, memory)
    return sha256


def _read(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
