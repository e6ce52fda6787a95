"""A training whose folder cannot be written to any more says so, and how to go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import DiskError
from connector.training.options import Workplace


def test_what_cannot_be_written_at_the_end_says_how_to_go_on(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "gone")
    for write in (lambda: place.finish({}), lambda: place.write_card("")):
        with pytest.raises(DiskError, match=r"gone \(No such file or directory\); make room there, and run the same"):
            write()
