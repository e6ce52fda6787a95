"""What LanceDB's errors say, without the lines of its source, and what to do about those that are known."""

from __future__ import annotations

import re

SOURCE_LINE = re.compile(r",? *\S*/\S+\.rs:\d+:\d+")
AROUND = re.compile(r"(?:Runtime error: |lance error: |LanceError\(\w+\): |Generic [\w/]+ error: |Wrapped error: )+")
ADVICE = {
    "Not found": "a file of the index is gone; if it was dropped or written anew, open it again",
    "No space left on device": "the disk is full: free space and run it again",
    "Permission denied": "check the folder's mode and owner",
    "Read-only file system": "the folder can be read only",
    "Too many open files": "raise the limit of open files (ulimit -n)",
}


def explain_lance(error: Exception) -> str:
    """The reason in an error of LanceDB's, on one line; and what to do."""
    reason = " ".join(AROUND.sub("", SOURCE_LINE.sub("", str(error))).split()) or type(error).__name__
    advice = next((advice for known, advice in ADVICE.items() if known in reason), "")
    return f"{reason}; {advice}" if advice else reason
