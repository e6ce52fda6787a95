"""The grades of a language model in a judging folder: who said it, and by which question."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from connector.judging.folder import JudgingFolder
from connector.judging.grades import Grade
from connector.judging.model.umbrela import PROMPT_HASH
from connector.judging.pairs import Pair
from connector.judging.resolve import write_judgments


class ModelGrades:
    """Called with a pair and a grade, puts it on disk. What stands there already is not said again. As a context
    manager, writes the judgments at the end, whatever it came to."""

    def __init__(self, folder: JudgingFolder, model: str, parameters: Mapping[str, Any]) -> None:
        self._folder, self._model = folder, model
        self._log = folder.grades()
        hashed = hashlib.sha256(json.dumps(dict(parameters), sort_keys=True).encode()).hexdigest()[:16]
        self._about = {"model": model, "prompt": PROMPT_HASH, "parameters": hashed}
        self._standing = {
            (grade.query_id, grade.doc_id): grade.grade
            for grade in self._log.read()
            if grade.by == model and grade.kind == "model" and dict(grade.about) == self._about
        }

    def __call__(self, pair: Pair, grade: int) -> None:
        """Raises DiskError."""
        if self._standing.get(pair.key) != grade:
            self._log.append(Grade(pair.query_id, pair.doc_id, grade, self._model, "model", self._about))
            self._standing[pair.key] = grade

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failed: object) -> None:
        """Raises DiskError."""
        write_judgments(self._folder, self._log)
