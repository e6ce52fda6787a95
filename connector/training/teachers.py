"""Scores to learn from: a larger model's, or those of a file."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path

from connector.errors import SourceError
from connector.evaluation.datasets import open_text
from connector.models.load import load_scorer
from connector.models.scorer import Scorer
from connector.settings.sections import ModelSettings, WorkerSettings
from connector.training.examples import Example


class Teacher(ABC):
    """Scores the candidates of examples."""

    @abstractmethod
    def teach(self, example: Example) -> Example | None:
        """The example with scores; None where the teacher does not know all of its candidates."""


class ModelTeacher(Teacher):
    """Any reranker: folder or hub name."""

    def __init__(self, model: str) -> None:
        """Loads the model. Raises ModelError."""
        settings = ModelSettings(model=model)
        self._scorer: Scorer = load_scorer(settings, WorkerSettings(model=model))

    def teach(self, example: Example) -> Example:
        scores = self._scorer.score(example.query, [one.text for one in example.candidates])
        return example.scored(scores.values.tolist())


class FileTeacher(Teacher):
    """JSON Lines of query_id, doc_id, score."""

    def __init__(self, file: Path) -> None:
        """Reads the file. Raises SourceError."""
        self._scores: dict[tuple[str, str], float] = {}
        with open_text(file) as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    row = json.loads(line)
                    self._scores[str(row["query_id"]), str(row["doc_id"])] = float(row["score"])
                except (ValueError, KeyError, TypeError):
                    raise SourceError(f"{file}:{number} is no score; it needs query_id, doc_id and score") from None

    def teach(self, example: Example) -> Example | None:
        known = [self._scores.get((example.query_id, one.doc_id)) for one in example.candidates]
        scores = [score for score in known if score is not None]
        return example.scored(scores) if len(scores) == len(known) else None
