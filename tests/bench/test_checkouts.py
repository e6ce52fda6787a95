"""The other state of the code that a bench measures."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def test_a_commit_lies_in_a_folder_as_long_as_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)
    from checkouts import checked_out

    with checked_out("HEAD") as code:
        assert (code / "bench" / "path.py").is_file()
        assert code != BENCH.parent

    assert not code.parent.exists()
