"""A judging folder as a collection: of all its grades, or of those of some kind of judge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

from connector.errors import SettingsError
from connector.evaluation.files.datasets import Collection, join
from connector.evaluation.files.judgments import Judgments, Qrels
from connector.evaluation.files.queries import read_queries
from connector.judging.folder import JudgingFolder
from connector.judging.grades import GRADES, GradeKind
from connector.judging.resolve import BY_TRUST, resolve

ALL = "all"
KINDS: tuple[GradeKind, ...] = get_args(GradeKind)
CHOICES = (*KINDS, ALL)


def is_judging_folder(path: Path) -> bool:
    """Whether it says who gave which grade."""
    return JudgingFolder(path).grades_file.is_file()


def read_judged(path: Path, judged_by: str) -> Collection:
    """The queries with the grades of one kind of judge; of `all` with every grade, and those of each kind apart.

    Raises SettingsError where nobody is known to have judged, or none of that kind; SourceError."""
    if judged_by not in CHOICES:
        raise SettingsError(f"{judged_by!r} is no kind of judge; use one of {', '.join(CHOICES)}")
    if not is_judging_folder(path):
        raise SettingsError(
            f"{path} has no grades.jsonl, so nobody knows who judged; leave --judged-by out, or take the judgments in "
            "with connector judge import"
        )
    folder = JudgingFolder(path)
    grades = folder.grades().read()
    apart: dict[str, Qrels] = {kind: found for kind in BY_TRUST if (found := resolve(grades, (kind,)).qrels)}
    if judged_by != ALL and judged_by not in apart:
        raise SettingsError(f"no grade in {path} is by {judged_by}; there are grades by {', '.join(apart) or 'nobody'}")
    qrels = resolve(grades).qrels if judged_by == ALL else apart[judged_by]
    collection = on_scale(join(path.resolve().name, read_queries(folder.queries_file), Judgments(qrels)))
    return replace(collection, apart=apart) if judged_by == ALL else collection


def on_scale(collection: Collection) -> Collection:
    """A collection whose grades could have been any that a judging folder has."""
    return replace(collection, scale=max(GRADES))
