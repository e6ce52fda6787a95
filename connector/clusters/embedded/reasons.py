"""What LanceDB's errors say, without the lines of its source, and what to do about those that are known."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from connector.errors import ClusterError

INNERMOST = re.compile(r'message: "([^"]+)"')  # of an error that is shown as a structure
SOURCE_LINE = re.compile(r",? *\S*/\S+\.rs:\d+:\d+")
AROUND = re.compile(r"(?:Runtime error: |lance error: |LanceError\(\w+\): |Generic [\w/]+ error: |Wrapped error: )+")
ADVICE = {
    "Not found": "a file of the index is gone; if it was dropped or written anew, open it again",
    "No space left on device": "the disk is full: free space and run it again",
    "Permission denied": "check the folder's mode and owner",
    "Read-only file system": "the folder can be read only",
    "Too many open files": "raise the limit of open files (ulimit -n)",
}


log = logging.getLogger(__name__)
LANCE_ERRORS = (ValueError, OSError, RuntimeError)  # all that LanceDB raises, for whatever reason


@contextmanager
def explaining(failure: str, kind: type[ClusterError] = ClusterError) -> Iterator[None]:
    """Within the block, errors of LanceDB are raised as that kind of ours: `failure` says what was not possible.

    What it calls invalid stays invalid, and is a ClusterError."""
    try:
        yield
    except LANCE_ERRORS as error:
        log.debug("%s", failure, exc_info=True)
        kept = ClusterError if isinstance(error, ValueError) else kind
        raise kept(f"{failure}: {explain_lance(error)}") from error


def explain_lance(error: Exception) -> str:
    """The reason in an error of LanceDB's, on one line; and what to do."""
    message = getattr(error, "strerror", None) or next(reversed(INNERMOST.findall(str(error))), str(error))
    reason = " ".join(AROUND.sub("", SOURCE_LINE.sub("", message)).split()) or type(error).__name__
    advice = next((advice for known, advice in ADVICE.items() if known in reason), "")
    return f"{reason}; {advice}" if advice else reason
