"""`rank_eval.json` of a judging folder: the engine query that each query came with, as `_rank_eval` had it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from connector.errors import DiskError, SourceError
from connector.evaluation.files.text_file import read_text
from connector.judging.formats.judged import Body
from connector.whole_file import write_whole

NAME = "rank_eval.json"


def read_bodies(folder: Path) -> dict[str, Body]:
    """By query id; none where no query came with one. Raises SourceError."""
    file = folder / NAME
    if not file.is_file():
        return {}
    try:
        bodies = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file} is no JSON ({error}); take it away, and import the _rank_eval body again") from None
    return dict(bodies)


def keep_bodies(folder: Path, bodies: Mapping[str, Body]) -> None:
    """Beside those that are there. Raises DiskError."""
    if not bodies:
        return
    both = read_bodies(folder) | dict(bodies)
    try:
        write_whole(folder / NAME, json.dumps(both, ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        raise DiskError(f"cannot write {folder / NAME} ({error.strerror}); choose another place") from None
