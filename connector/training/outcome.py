"""A trained model -> whether it is better than its base: measured on queries that it has not seen, and written on its
card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from connector.evaluation.evaluate import Evaluation, Reporter
from connector.evaluation.files.datasets import Collection
from connector.evaluation.gate import Verdict
from connector.models.onnx.agreement import Agreement
from connector.settings.sections import Settings
from connector.training.card import build_card
from connector.training.measure import measure_both, verdicts
from connector.training.train import TrainingJob


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """What a training came to. `evaluation` is None where no queries were left to measure on."""

    job: TrainingJob
    trained: Mapping[str, Any]
    evaluation: Evaluation | None
    verdicts: Sequence[Verdict]

    @property
    def folder(self) -> Path:
        return self.job.place.folder

    @property
    def is_worse(self) -> bool:
        """Than its base, or than no rerank at all."""
        return any(verdict.broken for verdict in self.verdicts)

    def describe(self) -> dict[str, Any]:
        """As JSON has it."""
        pipelines = self.evaluation.pipelines if self.evaluation else ()
        return {
            "folder": str(self.folder),
            "ok": not self.is_worse,
            "options": asdict(self.job.options),
            "data": self.job.data,
            "trained": self.trained,
            "measures": {
                measured.pipeline.name: {name: measured.mean(name) for name in self.evaluation.measures}
                for measured in pipelines
                if self.evaluation
            },
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
        }

    def write_card(self, agreement: Agreement | None, command: Sequence[str]) -> None:
        """README.md in the model's folder. Raises DiskError."""
        card = build_card(
            self.job.options, self.job.data, self.trained, self.evaluation, self.verdicts, agreement, command
        )
        self.job.place.write_card(card)


async def measure_outcome(
    job: TrainingJob,
    trained: Mapping[str, Any],
    unseen: Collection | None,
    settings_with: Callable[[Mapping[str, Any]], Settings],
    *,
    max_drop: float,
    reporter: Reporter,
) -> TrainingOutcome:
    """The base and the model on the queries that were not seen; nothing is measured where there are none."""
    if unseen is None:
        return TrainingOutcome(job, trained, None, ())
    evaluation = await measure_both(job.options.base, job.place.folder, unseen, settings_with, reporter)
    return TrainingOutcome(job, trained, evaluation, verdicts(evaluation, max_drop=max_drop))
