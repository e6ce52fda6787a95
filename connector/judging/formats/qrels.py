"""TREC's qrels (query, 0, document, grade, by blanks) and BEIR's (query-id, corpus-id, score, by tabs)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from connector.evaluation.files.judgments import read_judgments
from connector.judging.formats.judged import Judged, JudgedFile, JudgmentsToWrite, Written

NO_WORD = re.compile(r"\s")
NO_CELL = re.compile(r'[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]|^\s|\s$|^"|"$|^\ufeff')


def read_qrels(path: Path) -> JudgedFile:
    """Either of the two. Raises SourceError, with the line."""
    found = read_judgments(path)
    judged = (
        Judged(doc_id, grade, query_id=query_id, where=str(path))
        for query_id, grades in found.qrels.items()
        for doc_id, grade in grades.items()
    )
    notes = (f"{found.repeated} judgments are there again, with the same grade",) if found.repeated else ()
    return JudgedFile(tuple(judged), notes=notes)


def write_trec(judgments: JudgmentsToWrite) -> Written:
    """What has an id with white space is left out, and counted."""
    return _write(judgments, lambda query_id, doc_id, grade: f"{query_id} 0 {doc_id} {grade}\n", NO_WORD)


def write_beir(judgments: JudgmentsToWrite) -> Written:
    """What has an id that no cell can hold is left out, and counted."""
    written = _write(judgments, lambda query_id, doc_id, grade: f"{query_id}\t{doc_id}\t{grade}\n", NO_CELL)
    return Written(f"query-id\tcorpus-id\tscore\n{written.text}", written.notes)


def _write(judgments: JudgmentsToWrite, line: Callable[[str, str, int], str], forbidden: re.Pattern[str]) -> Written:
    left_out = 0

    def lines() -> Iterator[str]:
        nonlocal left_out
        for query_id, grades in judgments.qrels.items():
            for doc_id, grade in grades.items():
                if forbidden.search(query_id) or forbidden.search(doc_id):
                    left_out += 1
                else:
                    yield line(query_id, doc_id, grade)

    text = "".join(lines())
    notes = (f"{left_out} judgments have an id with white space or quotes that this format cannot hold",)
    return Written(text, notes if left_out else ())
