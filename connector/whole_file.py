"""A file is written whole or not at all: what reads it, also after a full disk or a kill, never sees half of one."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

STDOUT, STDERR = 1, 2
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # Windows has none
NAME_CHARS = 60  # of the file's name in that of the one beside it; a name has 255 bytes at most


def write_whole(path: Path, text: str | Iterable[str], *, like: Path | None = None) -> None:
    """Put a text, given at once or in pieces, in place of what the file holds, once all of it is on disk.

    A link stays a link, and a file keeps its mode and, where we may give it away, its owner; a new one has the mode of
    `like`, or the usual one. A pipe or a device is written into, and so is where this process's own output goes, as
    with /dev/stdout. What UTF-8 cannot hold, as in the name of a file, stands as its escape.

    Raises OSError; the file then is as it was, but for one that could only be written over."""
    pieces = [text] if isinstance(text, str) else text
    known = _look_at(path)
    if known and _is_written_into(known):
        own = own_output(known)
        opened = open_at_once(path) if own is None else os.dup(own)
        with open(opened, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            stream.writelines(pieces)
    else:
        _replace(Path(os.path.realpath(path)), pieces, known, like.stat() if like else None)


def check_writable(path: Path) -> None:
    """Raise OSError where `write_whole` could not write now; nothing is changed."""
    known = _look_at(path)
    if not (known and _is_written_into(known)):
        partial = _name_beside(Path(os.path.realpath(path)))
        partial.touch(exist_ok=False)
        partial.unlink()


def open_at_once(path: Path, flags: int = 0) -> int:
    """Open it to write. Raises OSError, also for a pipe that nobody reads: no signal would end the wait for a reader
    while an event loop has the signals."""
    try:
        opened = os.open(path, os.O_WRONLY | NO_WAIT | flags, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads it; begin with its reader", str(path)) from None
        raise
    if NO_WAIT:
        os.set_blocking(opened, True)  # whoever reads slowly is waited for
    return opened


def is_one_file(file: Path, other: Path) -> bool:
    """Whether what is written to the file would take the place of the other; into pipes, devices and this process's own
    output several may write."""
    try:
        known = file.stat()
    except OSError:  # it is not there yet
        return os.path.realpath(file) == os.path.realpath(other)
    with suppress(OSError):
        return not _is_written_into(known) and os.path.samestat(known, other.stat())
    return False


def _replace(target: Path, pieces: Iterable[str], known: os.stat_result | None, like: os.stat_result | None) -> None:
    partial = _name_beside(target)
    try:
        with partial.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
            if known:
                _give_to_owner(partial, known)
            if alike := known or like:
                partial.chmod(stat.S_IMODE(alike.st_mode))  # before anything is in it
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(partial, target)
    except BaseException:  # an interrupt too; it is raised again
        with suppress(OSError):
            partial.unlink()
        raise


def _give_to_owner(partial: Path, known: os.stat_result) -> None:
    """Root may; anybody else only to a group of their own."""
    if sys.platform != "win32":
        with suppress(OSError):
            os.chown(partial, -1, known.st_gid)
            os.chown(partial, known.st_uid, -1)


def _put_in_place(partial: Path, target: Path) -> None:
    """At one stroke; a file that nothing can take the place of, since it is mounted by itself as into a container, or
    is somebody else's in a folder such as /tmp, is written over."""
    try:
        os.replace(partial, target)
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EPERM):
            raise
        with partial.open("rb") as whole, open(os.open(target, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            shutil.copyfileobj(whole, file)
        partial.unlink()


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
