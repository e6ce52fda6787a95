"""What a test needs of the machine and may not find there. On a developer's machine the test is then skipped; CI
installs all of it (.ci/run), so there the test fails."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip_or_fail(reason: str) -> NoReturn:
    """End the test, for the reason that something is not there."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
