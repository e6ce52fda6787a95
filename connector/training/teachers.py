"""Scores to learn from: a larger model's, or those of a file."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

from connector.errors import SourceError
from connector.evaluation.files.queries import parse_object, text_of
from connector.evaluation.files.text_file import numbered_lines
from connector.models.files import find_model
from connector.models.labels import count_labels, require_one_label
from connector.models.load import load_scorer
from connector.models.scorer import Scorer
from connector.settings.sections import ModelPlaceSettings, ModelSettings, WorkerSettings
from connector.training.examples import Example


class Teacher(ABC):
    """Scores the candidates of examples."""

    @abstractmethod
    def teach(self, example: Example) -> Example | None:
        """The example with scores; None where the teacher does not know all of its candidates."""


class ModelTeacher(Teacher):
    """Any reranker: folder or hub name. It is loaded with the first example, since a teacher may be large."""

    def __init__(self, model: str, places: ModelPlaceSettings) -> None:
        """Finds the model, or fetches it. Raises ModelError, also for one that can be seen to rate nothing."""
        require_one_label(model, count_labels(find_model(model, places)) or 1)
        self._model = model

    @cached_property
    def _scorer(self) -> Scorer:
        return load_scorer(ModelSettings(model=self._model), WorkerSettings(model=self._model))

    def teach(self, example: Example) -> Example:
        scores = self._scorer.score(example.query, [candidate.text for candidate in example.candidates])
        return example.scored(scores.values.tolist())


class FileTeacher(Teacher):
    """JSON Lines of query_id, doc_id, score."""

    def __init__(self, file: Path) -> None:
        """Reads the file. Raises SourceError."""
        self._scores: dict[tuple[str, str], float] = {}
        lines: dict[tuple[str, str], int] = {}
        for number, line in numbered_lines(file):
            pair, score = _parse(line, f"{file}:{number}")
            if self._scores.setdefault(pair, score) != score:
                raise SourceError(
                    f"{file}:{number} gives {pair[1]!r} another score for query {pair[0]!r} than line {lines[pair]}; "
                    "keep one of the two"
                )
            lines.setdefault(pair, number)
        if not self._scores:
            raise SourceError(f"{file} has no scores")

    def teach(self, example: Example) -> Example | None:
        known = [self._scores.get((example.query_id, candidate.doc_id)) for candidate in example.candidates]
        scores = [score for score in known if score is not None]
        return example.scored(scores) if len(scores) == len(known) else None


def _parse(line: str, where: str) -> tuple[tuple[str, str], float]:
    """(query_id, doc_id) and score. Raises SourceError."""
    row = parse_object(line, where, "query_id, doc_id and score")
    query_id, doc_id = (text_of(row.get(name)) for name in ("query_id", "doc_id"))
    score = row.get("score")
    if not query_id or not doc_id or isinstance(score, bool) or not isinstance(score, int | float):
        raise SourceError(f"{where} is no score; it needs query_id, doc_id and a number as score")
    if not math.isfinite(score):
        raise SourceError(f"{where} is no score: {score} is no number that can be learned from")
    return (query_id, doc_id), float(score)
