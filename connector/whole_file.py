"""A file is written whole or not at all: what reads it, also after a full disk or a kill, never sees half of one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

STDOUT, STDERR = 1, 2
NAME_CHARS = 60  # of the file's name in that of the one beside it; a name has 255 bytes at most


def write_whole(path: Path, text: str | Iterable[str], *, like: Path | None = None) -> None:
    """Put a text, given at once or in pieces, in place of what the file holds, once all of it is on disk.

    A link stays a link, and a file keeps its mode; a new one has that of `like`, or the usual one. A pipe or a device
    is written into, and so is where this process's own output goes, as with /dev/stdout.

    Raises OSError; the file then is as it was."""
    pieces = [text] if isinstance(text, str) else text
    known = _look_at(path)
    if known and _is_written_into(known):
        own = own_output(known)
        with open(path if own is None else os.dup(own), "w", encoding="utf-8", newline="") as stream:
            stream.writelines(pieces)
    else:
        _replace(Path(os.path.realpath(path)), pieces, known or (like.stat() if like else None))


def check_writable(path: Path) -> None:
    """Raise OSError where `write_whole` could not write now; nothing is changed."""
    known = _look_at(path)
    if not (known and _is_written_into(known)):
        partial = _name_beside(Path(os.path.realpath(path)))
        partial.touch(exist_ok=False)
        partial.unlink()


def _replace(target: Path, pieces: Iterable[str], like: os.stat_result | None) -> None:
    partial = _name_beside(target)
    try:
        with partial.open("x", encoding="utf-8", newline="") as file:
            if like:
                partial.chmod(stat.S_IMODE(like.st_mode))  # before anything is in it
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:  # an interrupt too; it is raised again
        with suppress(OSError):
            partial.unlink()
        raise


def _name_beside(target: Path) -> Path:
    """A name of its own: several may write at once, on several machines too."""
    return target.with_name(f".{target.name[:NAME_CHARS]}.{os.urandom(4).hex()}")


def _look_at(path: Path) -> os.stat_result | None:
    """What is there; None where nothing is yet. Raises OSError for a folder, and for what may not be written to."""
    try:
        known = path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(known.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # it could be replaced all the same, which nobody expects
    if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return known


def _is_written_into(known: os.stat_result) -> bool:
    return not stat.S_ISREG(known.st_mode) or own_output(known) is not None


def own_output(known: os.stat_result) -> int | None:
    """A descriptor of this process's output, if it goes there. A file that is opened once more has a place of its own
    in it, and what is written by the one goes over what was written by the other."""
    for descriptor in (STDOUT, STDERR):
        with suppress(OSError):  # it is closed
            if os.path.samestat(known, os.fstat(descriptor)):
                return descriptor
    return None
