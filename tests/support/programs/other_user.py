"""What another user than root meets: root may read and write everything, which tests of permissions must not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65_534


@contextmanager
def as_other_user() -> Iterator[None]:
    """Within the block this process is nobody where it was root; what it opens is opened as nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
