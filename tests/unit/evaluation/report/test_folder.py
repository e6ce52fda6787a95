"""The folder of an evaluation says before the work where it could not keep the figures, and after it too."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.evaluation.evaluations import collection, evaluation, ranked

from connector.errors import SettingsError
from connector.evaluation.report.figures import build_figures
from connector.evaluation.report.folder import EvaluationFolder


@pytest.mark.parametrize("name", ["report.html", "figures.json"])
def test_what_cannot_be_written_is_told_before_the_work_and_after_it(tmp_path: Path, name: str) -> None:
    done = evaluation(collection({"a": {"x": 1}}), {"first": {"a": ranked("x")}})
    folder = EvaluationFolder.make(tmp_path / "report")
    is_left = [path.name for path in folder.path.iterdir()]
    (folder.path / name).mkdir()

    assert is_left == ["runs"]
    with pytest.raises(SettingsError, match=r"\(Is a directory\); choose another place"):
        EvaluationFolder.make(folder.path)
    with pytest.raises(SettingsError, match=r"\(Is a directory\); choose another place"):
        folder.write(done, build_figures(done))
