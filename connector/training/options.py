"""What a training is to do, and the folder that remembers it: the same options and data go on where they stopped.

The defaults of `connector train` live here and nowhere else; importing this costs nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.errors import DiskError, SettingsError
from connector.file_locks import holder, take
from connector.whole_file import write_whole

if TYPE_CHECKING:  # the command line reads the defaults of its flags here, and must not wait for numpy
    from connector.models.scorer import ScorerKind

# what each kind of model can learn by; those of TAUGHT learn from the scores of a teacher, the others from judgments
LOSSES: Mapping[ScorerKind, tuple[str, ...]] = {
    "cross-encoder": ("listwise", "binary", "margin-mse", "distill"),
    "late-interaction": ("listwise", "contrastive", "margin-mse", "distill"),
}
TAUGHT = frozenset({"margin-mse", "distill"})


@dataclass(frozen=True, slots=True)
class Options:
    """All that makes a difference to the trained model, other than the data."""

    base: str = "all-MiniLM-L6-v2"  # folder or hub name
    kind: ScorerKind = "late-interaction"  # what that base is; of another base, `detect_kind` tells
    loss: str = "listwise"
    negatives: int = 7  # of each query
    depth: int = 50  # hits of each leg that negatives are taken from
    max_share: float = 0.95  # a candidate whose cosine is above this share of the positive's is no sure negative
    teacher: str | None = None  # a model, or a file of scores
    teacher_is_file: bool = False
    epochs: float = 1.0
    batch_size: int = 16  # queries
    learning_rate: float = 2e-5
    layer_decay: float = 1.0  # the learning rate of each layer is this share of the next one's
    max_length: int = 256  # tokens
    evaluations: int = 10  # on the queries kept back, until the end
    patience: int = 3  # evaluations without a gain after which it stops
    held_back: float = 0.1  # share of the training queries that decides when to stop
    seed: int = 13

    def __post_init__(self) -> None:
        if self.loss not in LOSSES[self.kind]:
            raise SettingsError(f"a {self.kind} model learns by {', '.join(LOSSES[self.kind])}, not by {self.loss!r}")
        if self.loss in TAUGHT and not self.teacher:
            raise SettingsError(
                f"loss {self.loss} learns from scores: name --teacher MODEL, or --teacher-scores FILE "
                "(query_id, doc_id, score)"
            )
        if self.teacher and self.loss not in TAUGHT:
            raise SettingsError(
                f"loss {self.loss} learns from judgments and would ask no teacher: give --loss "
                f"{' or '.join(sorted(TAUGHT, reverse=True))}, or leave the teacher out"
            )


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How the trained model is measured against its base, and what it must hold to be used."""

    test_share: float = 0.2  # of the queries, which the training does not see
    max_drop: float = 0.0  # how far nDCG@10 may fall below the base's, and below no rerank's
    export: bool = True  # also make the graph in eight bits


DEFAULT_FOLDER = Path("reranker")  # where a trained model goes


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folder of a trained model, with what its training keeps in `training/` until it is done."""

    folder: Path

    @property
    def training(self) -> Path:
        return self.folder / "training"

    @property
    def examples(self) -> Path:
        return self.training / "examples.jsonl"

    @property
    def scores(self) -> Path:
        return self.training / "scores.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.training / "checkpoints"

    @property
    def is_trained(self) -> bool:
        return (self.training / "trained.json").exists()

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder, which is made, is this training's alone for as long as the block lasts, and no longer than its
        process. Raises SettingsError where another training has it, and DiskError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            opened = os.open(self.folder, os.O_RDONLY)
        except OSError as error:
            raise DiskError(f"cannot use {self.folder} ({error.strerror}); choose another --out") from None
        try:
            if not take(opened):
                raise SettingsError(
                    f"{self.folder} is in use by {holder(opened)}, which trains there; wait for its end, or choose "
                    "another --out"
                )
            yield
        finally:
            os.close(opened)

    def open(self, options: Options, data: Mapping[str, Any], *, restart: bool = False) -> None:
        """Make the folder, or go on in it. Raises SettingsError where another training is there, or something else
        is."""
        remembered = self.training / "options.json"
        asked = json.loads(json.dumps({"options": asdict(options), "data": data}))
        if remembered.exists() and restart:
            shutil.rmtree(self.training)
        elif remembered.exists():
            known = json.loads(remembered.read_text(encoding="utf-8"))
            if known != asked:
                raise SettingsError(
                    f"{self.folder} holds another training (other: {', '.join(_differing(known, asked))}); "
                    "choose another --out, or give --restart to begin anew"
                )
            return
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise SettingsError(f"{self.folder} is not empty and holds no training; choose another --out")
        try:
            self.training.mkdir(parents=True, exist_ok=True)
            _write(remembered, asked)
        except OSError as error:
            raise DiskError(f"cannot write to {self.folder} ({error.strerror}); choose another --out") from None

    def finish(self, figures: Mapping[str, Any]) -> None:
        """The model is whole: what only a training under way needs can go. Raises DiskError."""
        with self._writing():
            _write(self.training / "trained.json", figures)
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def write_card(self, card: str) -> None:
        """README.md in the model's folder. Raises DiskError."""
        with self._writing():
            write_whole(self.folder / "README.md", card)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DiskError(
                f"cannot write to {self.folder} ({error.strerror}); make room there, and run the same command again"
            ) from error

    def trained(self) -> dict[str, Any]:
        """What `finish` was given."""
        known: dict[str, Any] = json.loads((self.training / "trained.json").read_text(encoding="utf-8"))
        return known


def _write(file: Path, content: Mapping[str, Any]) -> None:
    write_whole(file, json.dumps(content, indent=1) + "\n")


def _differing(known: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    return [
        name
        for part in ("options", "data")
        for name in sorted({*known.get(part, {}), *asked[part]})
        if known.get(part, {}).get(name) != asked[part].get(name)
    ]
