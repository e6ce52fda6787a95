"""SHA-256 of files, each read once as long as it stays as it is."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


def file_sha256(file: Path) -> str:
    about = file.stat()
    return _sha256_of(file, about.st_size, about.st_mtime_ns)


@cache
def _sha256_of(file: Path, size: int, changed_ns: int) -> str:
    """The hash of a file that is so long and was changed then."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
