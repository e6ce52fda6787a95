"""A tuning as one JSON object: what `connector tune --json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from connector.evaluation.report.figures import build_figures
from connector.settings.file import plain_values
from connector.tuning.choice import Choice, describe, values_of
from connector.tuning.tune import Tuned

FORMAT = "connector-tuning/1"


def build_tuning(tuned: Tuned, values: Mapping[str, Any], *, written: str | None) -> dict[str, Any]:
    """All figures; `values` are the settings that were, or would be, written to the file `written` (None: not
    written)."""
    figures, chosen = tuned.figures, tuned.chosen
    return {
        "format": FORMAT,
        "measure": figures.measured,
        "queries": {"train": len(tuned.train.queries), "test": len(tuned.tested.collection.queries)},
        "models": [name for _, name in tuned.models],
        "settings": plain_values(values),
        "written": written,
        "refused": tuned.refusals,
        "advice": [asdict(advice) for advice in tuned.advice],
        "train": {
            "yours": _choice(tuned, tuned.current),
            "without_rerank": _choice(tuned, chosen.without),
            "tuned": _choice(tuned, chosen.choice),
            "dearer": _choice(tuned, chosen.dearer) if chosen.dearer else None,
            "choices": len(figures.known()),
        },
        "rerankers": [
            {
                "name": trial.name,
                "gain": trial.gain,
                "standard_error": trial.standard_error,
                "taken": chosen.takes(trial),
                "alone": trial.alone,
                "weights": {"gain": trial.weights.mean, "standard_error": trial.weights.standard_error},
            }
            | _choice(tuned, trial.best)
            for trial in chosen.trials
        ],
        "found": asdict(tuned.found),
        "budget_ms": tuned.budget.p95_ms,
        "times": [
            asdict(timing.option)
            | {
                "model": timing.name or None,
                "ms": asdict(timing.took_ms),
                "late": timing.late,
                "allowed": not tuned.budget.breaks(timing),
            }
            for timing in tuned.budget.timings
        ],
        "test": build_figures(tuned.tested),
    }


def _choice(tuned: Tuned, choice: Choice) -> dict[str, Any]:
    return {
        "figure": tuned.figures.mean(choice),
        "settings": plain_values(values_of(tuned.settings, choice)),
        "in_words": describe(choice),
    }
