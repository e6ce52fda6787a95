"""Queries by their texts, for the formats that know no ids of queries."""

from __future__ import annotations

from collections.abc import Mapping

from connector.judging.formats.judged import JudgmentsToWrite
from connector.judging.queries.fold import fold_key


def fold(text: str) -> str:
    """What two spellings of one query have in common, as for the queries of a log; of signs alone, the signs."""
    return fold_key(text) or " ".join(text.split())


def by_text(judgments: JudgmentsToWrite) -> tuple[dict[str, Mapping[str, int]], tuple[str, ...]]:
    """The grades by the texts of their queries; notes of queries without a text, and of a text that two queries
    have."""
    grouped: dict[str, Mapping[str, int]] = {}
    folded: set[str] = set()
    unknown = doubled = 0
    for query_id, grades in judgments.qrels.items():
        text = " ".join(judgments.queries.get(query_id, "").split())
        if not text:
            unknown += 1
        elif fold(text) in folded:
            doubled += 1
        else:
            folded.add(fold(text))
            grouped[text] = grades
    notes = (
        (f"{unknown} queries have judgments and no text in queries.jsonl, and are left out" if unknown else ""),
        (f"{doubled} queries have the text of another one, and are left out" if doubled else ""),
    )
    return grouped, tuple(note for note in notes if note)
