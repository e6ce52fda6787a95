"""What the benches' smoke runs share."""

from __future__ import annotations

import pytest
from support.benches import Bench, write_slices
from support.command import Launcher


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, torch_launcher: Launcher) -> Bench:
    """Runs a bench where a small collection lies."""
    return Bench(write_slices(tmp_path_factory.mktemp("bench")), torch_launcher)
