"""What tests of models share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was made of a model before is found again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
