"""Every format: what is written reads back as it was, whatever is in it; and what others write is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.runs.effort import tries

from connector.judging.folder import JudgingFolder
from connector.judging.formats.exporting import read_judgments, write_judgments
from connector.judging.formats.importing import import_judged
from connector.judging.formats.judged import WRITABLE, JudgmentsToWrite, WritableFormat
from connector.judging.formats.recognise import READERS, recognise

WORD = st.text(st.characters(exclude_categories=["Z", "C"], exclude_characters='"'), min_size=1, max_size=8)
TEXT = st.lists(WORD, min_size=1, max_size=4).map(" ".join)
GRADE = st.integers(0, 3)
LETTER = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff") | st.sampled_from('\t\n "\u00a0,')
ANY_ID = st.text(LETTER, min_size=1, max_size=8).map(str.strip).filter(bool)


@st.composite
def judgments(draw: Any, ids: Any = WORD) -> JudgmentsToWrite:
    """With queries that no two spell alike."""
    found = draw(st.dictionaries(ids, st.dictionaries(ids, GRADE, min_size=1, max_size=4), min_size=1, max_size=4))
    return JudgmentsToWrite({query_id: f"{draw(TEXT)} number {at}" for at, query_id in enumerate(found)}, found)


def write(given: JudgmentsToWrite, name: WritableFormat) -> Any:
    return write_judgments(given, name, name="list", index="kb", template=None, fields=["title", "text"])


def read_back(given: JudgmentsToWrite, name: WritableFormat, folder: Path, text: str) -> dict[str, dict[str, int]]:
    """By way of a folder that has the queries."""
    folder.mkdir(exist_ok=True)
    place = JudgingFolder.make(folder)
    place.grades_file.unlink(missing_ok=True)
    place.queries_file.write_text(
        "".join(json.dumps({"_id": key, "text": text}) + "\n" for key, text in given.queries.items())
    )
    file = folder / "exported"
    file.write_text(text, encoding="utf-8", newline="")

    assert recognise(file) == name
    report = import_judged(place, READERS[name](file), by="file")
    assert report.unplaced == 0
    return read_judgments(place).qrels


@pytest.mark.parametrize("name", WRITABLE)
@given(given=judgments())
@settings(max_examples=tries(12), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_reads_back(name: WritableFormat, given: JudgmentsToWrite, tmp_path: Path) -> None:
    written = write(given, name)

    assert written.notes == ()
    assert read_back(given, name, tmp_path / "folder", written.text) == given.qrels


@pytest.mark.parametrize("name", WRITABLE)
@given(given=judgments(ANY_ID))
@settings(max_examples=tries(12), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_format_cannot_hold_is_left_out_and_said_and_the_rest_reads_back(
    name: WritableFormat, given: JudgmentsToWrite, tmp_path: Path
) -> None:
    written = write(given, name)
    if written.text in ("", "query-id\tcorpus-id\tscore\n"):  # of which nothing can be read
        assert written.notes
        return
    found = {(query, doc) for query, docs in _tolerant(given, name, tmp_path, written.text).items() for doc in docs}
    expected = {(query, doc) for query, docs in given.qrels.items() for doc in docs}

    assert found <= expected
    assert found == expected or written.notes


def _tolerant(given: JudgmentsToWrite, name: WritableFormat, tmp_path: Path, text: str) -> Any:
    file = tmp_path / "exported"
    file.write_text(text, encoding="utf-8", newline="")
    by_text = {" ".join(value.split()): key for key, value in given.queries.items()}
    found: dict[str, dict[str, float]] = {}
    for judged in READERS[name](file).judged:
        found.setdefault(judged.query_id or by_text[judged.text], {})[judged.doc_id] = judged.value
    return found
