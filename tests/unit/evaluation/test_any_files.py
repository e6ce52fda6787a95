"""Whatever queries and judgments are written like: the measured mean is the right one, or an error names file and
line."""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.evaluation.evaluations import ranked
from support.runs.effort import tries

from connector.errors import SourceError
from connector.evaluation.files.datasets import read_collection
from connector.evaluation.statistics.measures import mean, measure
from connector.evaluation.trec import read_trec

DOCS = ("d1", "2", "dé", "文", "e e")
RANKING = ranked(*DOCS)
# what begins with a mark is read; what does not is UTF-8, or an error
READ = {"utf-8", "utf-8-sig", "utf-16", "utf-32"}
ENCODINGS = [*sorted(READ), "utf-16-le", "utf-16-be", "latin-1"]
HEADERS = ["", "query-id\tcorpus-id\tscore", "qid\tdocno\trel", "Query\tDocument\tGrade"]
NAMED = re.compile(r"(queries\.jsonl|qrels\.tsv|topics)(:\d+ | has no )")


@dataclass(frozen=True)
class Layout:
    """How a file is written."""

    encoding: str
    end: str
    blanks: str  # at the end of each line
    empty_every: int  # lines; 0: none is empty
    packed: bool = False

    def write(self, file: Path, lines: Sequence[str]) -> None:
        written = []
        for number, line in enumerate(lines, start=1):
            written.append(line + self.blanks + self.end)
            if self.empty_every and number % self.empty_every == 0:
                written.append(self.blanks + self.end)
        try:
            content = "".join(written).encode(self.encoding)
        except UnicodeEncodeError:  # not in Latin-1
            content = "".join(written).encode()
        file.write_bytes(gzip.compress(content) if self.packed else content)


ids = st.sampled_from(["q1", "1", "007", "é", "文", "q 2", "-3"])
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z", "Cf"]), min_size=1, max_size=8)
layouts = st.builds(
    Layout, st.sampled_from(ENCODINGS), st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["", " ", "\t"]),
    st.sampled_from([0, 1, 3]), st.booleans(),
)  # fmt: skip
RIGHT_GRADES = ["0", "1", "2", "+1", "-1", "1.0", "0.0", "0."]
grades = st.sampled_from([*RIGHT_GRADES * 12, "0.5", "good", "", "nan", "1e9"])  # rows that are right are the rule
judged_rows = st.lists(st.tuples(ids, st.sampled_from(DOCS), grades), min_size=1, max_size=12)
asked = st.lists(st.tuples(ids, st.one_of(texts, st.integers(0, 99))), min_size=1, max_size=6)


def right_mean(queries: Sequence[tuple[str, object]], rows: Sequence[tuple[str, str, str]]) -> float | None:
    """The mean RR@10 by hand; None where the files contradict themselves, or hold what is no grade."""
    known: dict[tuple[str, str], float] = {}
    for query_id, doc_id, grade in rows:
        if grade not in RIGHT_GRADES or known.setdefault((query_id, doc_id), float(grade)) != float(grade):
            return None
    texts: dict[str, str] = {}
    for query_id, text in queries:
        if texts.setdefault(query_id, str(text)) != str(text):
            return None
    judged = [query_id for query_id in texts if any(query_id == known_id for known_id, _ in known)]
    values = []
    for query_id in judged:
        ranks = [rank for rank, doc_id in enumerate(DOCS, start=1) if known.get((query_id, doc_id), 0) > 0]
        values.append(1 / ranks[0] if ranks else 0.0)
    return sum(values) / len(values) if values else None


def measured_mean(folder: Path) -> tuple[float, str | None]:
    """The mean by the product, or why there is none."""
    try:
        collection = read_collection(folder)
    except SourceError as error:
        return 0.0, str(error)
    run = dict.fromkeys(collection.qrels, RANKING)
    return mean(measure(run, collection.qrels, ["RR@10"])["RR@10"]), None


@settings(max_examples=tries(100))
@given(asked, judged_rows, layouts, layouts, st.sampled_from(HEADERS), st.booleans())
@example(
    [("q1", "a")], [("q1", "d1", "1")], Layout("utf-8-sig", "\n", "", 0), Layout("utf-8-sig", "\n", "", 0), "", False
)
@example(
    [("1", 1787)], [("1", "d1", "0.0")], Layout("latin-1", "\r", " ", 1), Layout("utf-16", "\r\n", "\t", 1), "", True
)
def test_the_mean_is_right_or_an_error_names_the_line(
    queries: list[tuple[str, object]],
    rows: list[tuple[str, str, str]],
    of_queries: Layout,
    of_qrels: Layout,
    header: str,
    ids_as_numbers: bool,
) -> None:
    def written(query_id: str) -> object:
        return int(query_id) if ids_as_numbers and re.fullmatch(r"-?[1-9]\d*", query_id) else query_id

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [json.dumps({"_id": written(query_id), "text": text}, ensure_ascii=False) for query_id, text in queries]
        of_queries.write(folder / "queries.jsonl", lines)
        of_qrels.write(folder / "qrels.tsv", [*filter(None, [header]), *("\t".join(row) for row in rows)])
        expected = right_mean(queries, rows)
        found, refusal = measured_mean(folder)

    if refusal is None:
        assert found == pytest.approx(expected)
    else:
        assert NAMED.search(refusal) or "has a judgment" in refusal
        undecided = {of_queries.encoding, of_qrels.encoding} - READ  # may be right, and be refused all the same
        assert expected is None or undecided, f"refused what is right: {refusal}"


@given(
    st.binary(max_size=200), st.binary(max_size=200), st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b"])
)
def test_any_bytes_are_read_or_refused_by_name(queries: bytes, qrels: bytes, mark: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in (("queries.jsonl", queries), ("topics", queries), ("qrels.tsv", qrels)):
            (folder / file).write_bytes(mark + content)
        for read in (lambda: read_collection(folder), lambda: read_trec(folder / "topics", folder / "qrels.tsv")):
            with pytest.raises(SourceError) as raised:
                read()
            assert NAMED.search(str(raised.value))
