"""What the benches' smoke runs share."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.programs.benches import Bench, write_slices
from support.programs.command import Launcher


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, launcher: Launcher) -> Bench:
    """Runs a bench where a small collection lies."""
    return Bench(write_slices(tmp_path_factory.mktemp("bench")), launcher)


@pytest.fixture(scope="module")
def run_torch(run: Bench, torch_launcher: Launcher) -> Bench:
    """Runs a bench that needs torch. To fork a process that has imported it takes five times as long."""
    return replace(run, launcher=torch_launcher)
