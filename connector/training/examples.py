"""What a reranker learns from: a query with documents that answer it and documents that only look so; kept a line
each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from connector.errors import DiskError


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document's best passage for a query. `grade` is 0 also where nobody judged it; `score` is the teacher's."""

    doc_id: str
    text: str
    grade: int
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A query with its candidates: those that answer it, and others. `left_out` counts candidates that were too near to
    an answer to be sure that they are none."""

    query_id: str
    query: str
    positives: tuple[Candidate, ...]
    negatives: tuple[Candidate, ...]
    left_out: int = 0

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return (*self.positives, *self.negatives)

    def scored(self, scores: Sequence[float]) -> Example:
        """The example with the teacher's scores of its candidates [n]."""
        given = [
            replace(candidate, score=float(score)) for candidate, score in zip(self.candidates, scores, strict=True)
        ]
        count = len(self.positives)
        return replace(self, positives=tuple(given[:count]), negatives=tuple(given[count:]))


def read_examples(file: Path) -> Iterator[Example]:
    """The examples of a file; a last line that was cut off is left out, and is cut off the file."""
    if not file.exists():
        return
    whole = 0
    with open(file, "rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            yield _parse(json.loads(line))
    if whole < file.stat().st_size:
        with open(file, "rb+") as stream:
            stream.truncate(whole)


class ExampleWriter:
    """Adds examples to a file, each as a whole line. Raises DiskError."""

    def __init__(self, file: Path) -> None:
        try:
            self._stream = open(file, "a", encoding="utf-8")  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise DiskError(f"cannot write {file} ({error.strerror})") from None

    def write(self, example: Example) -> None:
        try:
            self._stream.write(json.dumps(asdict(example), ensure_ascii=False) + "\n")
            self._stream.flush()
        except OSError as error:
            raise DiskError(
                f"cannot write {self._stream.name} ({error.strerror}); make room and run it again"
            ) from None

    def close(self) -> None:
        self._stream.close()


def _parse(row: dict[str, Any]) -> Example:
    return Example(
        row["query_id"],
        row["query"],
        tuple(Candidate(**positive) for positive in row["positives"]),
        tuple(Candidate(**negative) for negative in row["negatives"]),
        row["left_out"],
    )
