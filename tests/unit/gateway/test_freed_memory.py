"""The gateway gives memory back that it does not need any more."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from connector.gateway.freed_memory import give_back


def own_kb() -> int:
    found = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_holes_between_what_is_still_held_are_given_back() -> None:
    replies = [bytearray(b"x" * 60_000) for _ in range(600)]
    kept = replies[::10]
    del replies
    before = own_kb()
    give_back()

    assert before - own_kb() > 10_000
    assert len(kept) == 60
