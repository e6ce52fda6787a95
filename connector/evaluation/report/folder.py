"""The folder of an evaluation: its figures, its report, and a TREC run of each pipeline."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connector.errors import SettingsError
from connector.evaluation.evaluate import Evaluation
from connector.evaluation.report.html import write_html
from connector.evaluation.trec import write_run
from connector.whole_file import check_writable, write_whole


@dataclass(frozen=True, slots=True)
class EvaluationFolder:
    """Made before the work, so that this is not lost for want of a place."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> EvaluationFolder:
        """Raises SettingsError where it cannot be made, or not be written to."""
        try:
            (path / "runs").mkdir(parents=True, exist_ok=True)
            for name in ("report.html", "figures.json"):
                check_writable(path / name)
        except OSError as error:
            raise SettingsError(f"cannot write to the folder {path} ({error.strerror}); choose another place") from None
        return cls(path)

    def write(self, evaluation: Evaluation, figures: dict[str, Any]) -> None:
        """report.html, figures.json and runs/PIPELINE.run."""
        write_html(self.path / "report.html", figures)
        text = json.dumps(figures, indent=1, ensure_ascii=False, default=str)
        try:
            write_whole(self.path / "figures.json", text + "\n")
        except OSError as error:
            raise SettingsError(
                f"cannot write the report to {self.path} ({error.strerror}); choose another place"
            ) from None
        for measured in evaluation.pipelines:
            name = measured.pipeline.name
            write_run(self.path / "runs" / f"{name}.run", measured.run, name)
