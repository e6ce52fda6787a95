"""What tests of the commands for judging share: they run in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.evaluation.judging_folders import make_judging_folder

from connector.judging.folder import JudgingFolder
from connector.judging.pairs import PairKey


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def made(tmp_path: Path) -> tuple[JudgingFolder, dict[PairKey, int]]:
    """The folder `judging` with 30 pairs, and the true grade of each."""
    return make_judging_folder(tmp_path / "judging", queries=5, depth=6)
