"""Judgment lists of OpenSearch's Search Relevance Workbench: the body that imports one, and the reply that shows
one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from connector.errors import SourceError
from connector.evaluation.files.text_file import read_text
from connector.judging.formats.judged import Judged, JudgedFile, JudgmentsToWrite, Written
from connector.judging.formats.texts import by_text

RATINGS = "judgmentRatings"
NEEDS = f"a judgment list has {RATINGS}, each with a query and its ratings (docId, rating)"


def find_lists(content: Any) -> list[Mapping[str, Any]]:
    """The judgment lists in a body: it is one, or the reply of a request for one or for several."""
    if isinstance(content, Mapping):
        if RATINGS in content:
            return [content]
        hits = content.get("hits")
        return find_lists(hits.get("hits", []) if isinstance(hits, Mapping) else content.get("_source"))
    if isinstance(content, list):
        return [found for part in content for found in find_lists(part)]
    return []


def read_workbench(path: Path) -> JudgedFile:
    """Raises SourceError."""
    try:
        lists = find_lists(json.loads(read_text(path)))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no JSON ({error})") from None
    if not lists:
        raise SourceError(f"{path} has no judgment list; {NEEDS}")
    judged = [found for judgment_list in lists for found in _judged(judgment_list, str(path))]
    failed = sum(len(entry.get("failures") or ()) for judgment_list in lists for entry in judgment_list[RATINGS])
    return JudgedFile(tuple(judged), notes=(f"{failed} documents were left unrated there",) if failed else ())


def write_workbench(judgments: JudgmentsToWrite, *, name: str) -> Written:
    """The body of PUT _plugins/_search_relevance/judgments."""
    grouped, notes = by_text(judgments)
    body = {
        "name": name,
        "description": "Written by connector judge export",
        "type": "IMPORT_JUDGMENT",
        RATINGS: [
            {
                "query": text,
                "ratings": [{"docId": doc_id, "rating": f"{grade:.3f}"} for doc_id, grade in grades.items()],
            }
            for text, grades in grouped.items()
        ],
    }
    return Written(json.dumps(body, ensure_ascii=False, indent=2) + "\n", notes)


def _judged(found: Mapping[str, Any], where: str) -> Iterator[Judged]:
    by = str(found["name"]) if found.get("name") and found.get("type") != "IMPORT_JUDGMENT" else ""
    try:
        for entry in found[RATINGS]:
            text = str(entry["query"]).strip()
            for rating in entry["ratings"]:
                yield Judged(str(rating["docId"]), float(rating["rating"]), text=text, by=by, where=where)
    except (LookupError, TypeError, ValueError) as error:
        raise SourceError(f"{where}: {NEEDS}, but something else is there ({error!r})") from error
