"""How hard the tests try: in seconds by default, for as long as it takes with TEST_SOAK=1 (`make soak`)."""

from __future__ import annotations

import os

IS_SOAK = os.environ.get("TEST_SOAK") == "1"
SOAK_TIMES = 20


def tries(count: int) -> int:
    """So many examples of a property, or kills of a job; twenty times as many in a soak."""
    return count * SOAK_TIMES if IS_SOAK else count
