"""What a model answered before, on disk: the same question is never paid for twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from connector.errors import DiskError, SettingsError
from connector.extras import needs
from connector.judging.model.umbrela import PROMPT_HASH, ReadGrade

NAME = "answers.jsonl"
LOCK = ".answers.lock"
MEMBERS = frozenset({"key", "grade", "fault", "answer", "tokens_in", "tokens_out"})


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it was read, the model's words, and the tokens that both askings took."""

    key: str
    answer: ReadGrade
    text: str
    tokens_in: int
    tokens_out: int


def answer_key(model: str, parameters: Mapping[str, Any], query: str, passage: str) -> str:
    """What identifies a question: equal for equal content, whichever query and document it belongs to."""
    content = json.dumps([model, PROMPT_HASH, dict(parameters), query, passage], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


class AnswerStore:
    """Answers by their keys, a line each. An answer is on disk when `keep` returns."""

    def __init__(self, path: Path) -> None:
        """Reads what is there. A line that breaks off, as a kill leaves it, is passed over. Raises DiskError."""
        self._path = path
        self._kept: dict[str, KeptAnswer] = {}
        self._file: IO[bytes] | None = None
        try:
            content = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise DiskError(f"cannot read {path} ({error.strerror}); check its rights") from None
        for line in content.splitlines():
            if found := _parse(line):
                self._kept[found.key] = found
        self._is_torn = bool(content) and not content.endswith(b"\n")

    @classmethod
    @contextmanager
    def alone(cls, folder: Path) -> Iterator[AnswerStore]:
        """The answers of a judging folder, for one process at a time, so that nothing is paid for twice. Raises
        SettingsError where another one has them."""
        with needs("judge", "keeping a model's answers"):
            from filelock import FileLock, Timeout
        try:
            with FileLock(folder / LOCK, timeout=0), cls(folder / NAME) as store:
                yield store
        except Timeout:
            raise SettingsError(
                f"another connector judge llm is at work on {folder}; wait for its end, or stop it"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def find(self, key: str) -> KeptAnswer | None:
        """The answer to that question, where there is one."""
        return self._kept.get(key)

    def keep(self, kept: KeptAnswer) -> None:
        """Raises DiskError."""
        line = json.dumps(_row(kept)).encode() + b"\n"
        try:
            self._file = self._file or open(self._path, "ab")  # noqa: SIM115  # as long as the store
            self._file.write(b"\n" + line if self._is_torn else line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise DiskError(
                f"cannot write {self._path} ({error.strerror}); the answer is lost, the rest kept"
            ) from None
        self._is_torn = False
        self._kept[kept.key] = kept


def _row(kept: KeptAnswer) -> dict[str, Any]:
    return {
        "key": kept.key,
        "grade": kept.answer.grade,
        "fault": kept.answer.fault,
        "answer": kept.text,
        "tokens_in": kept.tokens_in,
        "tokens_out": kept.tokens_out,
    }


def _parse(line: bytes) -> KeptAnswer | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not MEMBERS.issubset(row):
        return None
    answer = ReadGrade(row["grade"], row["fault"])
    return KeptAnswer(row["key"], answer, row["answer"], row["tokens_in"], row["tokens_out"])
