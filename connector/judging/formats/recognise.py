"""Which format a file has, by what is in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from connector.errors import SourceError
from connector.evaluation.files.text_file import numbered_lines, read_text
from connector.judging.formats.judged import Format, JudgedFile
from connector.judging.formats.qrels import read_qrels
from connector.judging.formats.quepid import is_quepid, read_quepid
from connector.judging.formats.rank_eval import is_rank_eval, read_rank_eval
from connector.judging.formats.ubi import is_ubi
from connector.judging.formats.workbench import find_lists, read_workbench

READERS: Mapping[Format, Callable[[Path], JudgedFile]] = {
    "quepid": read_quepid,
    "workbench": read_workbench,
    "rank-eval": read_rank_eval,
    "trec": read_qrels,
    "beir": read_qrels,
}


def recognise(path: Path) -> Format:
    """Raises SourceError where it is none of them."""
    first = next(numbered_lines(path), None)
    if first is None:
        raise SourceError(f"{path} is empty")
    if first[1].startswith(("{", "[")):
        return _recognise_json(path, first[1])
    if is_quepid(first[1]):
        return "quepid"
    return "beir" if len(first[1].split("\t")) == 3 else "trec"


def _recognise_json(path: Path, line: str) -> Format:
    content = _parse(line)
    if isinstance(content, Mapping) and is_ubi(content):
        return "ubi"
    if not isinstance(content, Mapping) or not (is_rank_eval(content) or find_lists(content)):
        content = _parse(read_text(path))
    if is_rank_eval(content):
        return "rank-eval"
    if find_lists(content):
        return "workbench"
    raise SourceError(
        f"{path} is JSON of a kind that is not known here: no requests (_rank_eval), no judgmentRatings (Search "
        "Relevance Workbench), and no lines with query_id (UBI); if it is one all the same, say which with --format"
    )


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
