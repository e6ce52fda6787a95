"""One file over HTTP whose hash is known: resumed where it broke off, checked, and there whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx

from connector.errors import ModelError
from connector.extras import needs
from connector.models.hashes import file_sha256
from connector.models.places.progress import MEGABYTE, showing

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
PAUSES_S = (0.5, 2.0, 5.0)  # between tries that bring nothing new
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """What is to be had: a file of so many bytes with that hash, kept as `target`. `name` is for people, and
    `pauses_s` are the waits between tries that bring nothing new."""

    url: str
    target: Path
    sha256: str
    bytes: int
    name: str
    pauses_s: tuple[float, ...] = PAUSES_S

    @property
    def part(self) -> Path:
        """What there is of it until it is whole and checked."""
        return self.target.with_name(f"{self.target.name}.part")


class _BrokenOff(Exception):
    """A try that ended early; the next one goes on from there."""


@contextmanager
def alone(file: Path, name: str) -> Iterator[None]:
    """Hold the lock of a file that is made, among all processes that make it; raises OSError where there can be
    none."""
    with needs("local", "fetching a model"):
        from filelock import FileLock, Timeout
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_name(f".{file.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process is fetching %s; waiting for it", name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def fetch_file(download: Download, client: httpx.Client) -> None:
    """Fetch the file, for a caller that holds its lock (`alone`). Raises ModelError."""
    try:
        download.target.parent.mkdir(parents=True, exist_ok=True)
        resumed = _length(download.part) > 0
        _read_to_the_end(download, client)
        if resumed and not _is_right(download):
            log.info("what there was of %s does not fit; fetching it from its start", download.name)
            download.part.unlink()
            _read_to_the_end(download, client)
        if not _is_right(download):
            raise _not_the_file(download)
        os.replace(download.part, download.target)
    except OSError as error:
        raise cannot_write(error, download.target.parent, download.name) from error


def cannot_write(error: OSError, folder: Path, name: str) -> ModelError:
    """What is said where something cannot be kept."""
    advice = "free some space, or" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "let this user write there, or"
    return ModelError(
        f"{name} cannot be kept in {folder} ({error.strerror or error}); {advice} name another folder in XDG_CACHE_HOME"
    )


def _read_to_the_end(download: Download, client: httpx.Client) -> None:
    """Ask again for what is missing, until the part is as long as the file, or a few tries brought nothing new."""
    pauses = list(download.pauses_s)
    while (before := _length(download.part)) < download.bytes:
        try:
            _read_on(download, client, before)
        except (httpx.TransportError, _BrokenOff) as error:
            if _length(download.part) > before:
                pauses = list(download.pauses_s)
            elif pauses:
                time.sleep(pauses.pop(0))
            else:
                reason = str(error).strip() or type(error).__name__
                kept = "; what there is of it is kept, and the same command goes on" if before else ""
                raise ModelError(f"{download.name} cannot be had from {download.url} ({reason}){kept}") from error


def _read_on(download: Download, client: httpx.Client, have: int) -> None:
    """One request for what is missing after `have` bytes. Raises _BrokenOff, httpx.TransportError, ModelError."""
    headers = {"accept-encoding": "identity"} | ({"range": f"bytes={have}-"} if have else {})
    with client.stream("GET", download.url, headers=headers) as reply:
        _check(reply, download)
        if reply.status_code != HTTPStatus.PARTIAL_CONTENT:
            have = 0  # it knows no ranges, and gives the whole file again
        elif not reply.headers.get("content-range", "").startswith(f"bytes {have}-"):
            raise _BrokenOff("it gave another part of the file than was asked for")
        _check_room(download, download.bytes - have)
        with open(download.part, "r+b" if have else "wb") as part:
            part.seek(have)
            with showing(download.name, download.bytes, begun=have) as tell:
                for piece in reply.iter_raw():
                    have += part.write(piece)
                    tell(have)
                    if have > download.bytes:
                        return  # whatever it is, its hash will be wrong
    if have < download.bytes:
        raise _BrokenOff(f"it ended after {have:,} of {download.bytes:,} bytes")


def _check(reply: httpx.Response, download: Download) -> None:
    """Raise _BrokenOff for a status that may pass, ModelError for others that are no success."""
    status = HTTPStatus(reply.status_code) if reply.status_code in set(HTTPStatus) else None
    status_line = f"{reply.status_code} {status.phrase if status else ''}".strip()
    if reply.is_success:
        return
    if reply.status_code in PASSING:
        raise _BrokenOff(status_line)
    if reply.status_code in (401, 403):
        advice = "check the user name and the password for it"
    elif reply.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        advice = "the proxy wants a user name and a password; put them into its address"
    elif reply.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        download.part.unlink()
        advice = f"the file there is shorter than the published one of {download.bytes:,} bytes"
    else:
        advice = "does the repository hold it, or mirror one that does?"
    raise ModelError(f"{download.name} cannot be had from {download.url} ({status_line}); {advice}")


def _check_room(download: Download, wanted: int) -> None:
    """Raise OSError before a disk runs full."""
    if shutil.disk_usage(download.part.parent).free < wanted:
        raise OSError(errno.ENOSPC, f"no room for {wanted / MEGABYTE:.0f} MB more")


def _not_the_file(download: Download) -> ModelError:
    """Forget what was read; what is said of it."""
    found = file_sha256(download.part)
    download.part.unlink()
    return ModelError(
        f"{download.url} is not the published {download.name}: its sha256 is {found}, not {download.sha256}; nothing "
        "of it is kept. Is the repository, or a proxy before it, giving out another file?"
    )


def _is_right(download: Download) -> bool:
    return file_sha256(download.part) == download.sha256


def _length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
