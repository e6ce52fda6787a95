"""A file of pairs gives back what was written into it, and says in which line it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import SourceError
from connector.judging.pairs import Pair, read_pairs, write_pairs


def test_pairs_come_back_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "pool.jsonl"
    pairs = [
        Pair("q2", "kb/ü 1", 1, {"title": "Zwei\u2028Zeilen", "stock": 3, "tags": ["a"]}),
        Pair("q1", "d", 0, {}),
    ]
    write_pairs(file, pairs)

    assert read_pairs(file) == (pairs[1], pairs[0])
    assert [found.name for found in tmp_path.iterdir()] == ["pool.jsonl"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"query_id": "q", "doc_id": "d", "order": 0, "fields": {}}', "there already"),
        ('{"query_id": "q", "order": 0, "fields": {}}', "doc_id is missing"),
        ('{"query_id": "q", "doc_id": "e", "order": "0", "fields": {}}', "no whole number"),
        ('{"query_id": "q", "doc', "no JSON object"),
    ],
)
def test_a_line_that_is_no_pair_is_named(line: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "pool.jsonl"
    write_pairs(file, [Pair("q", "d", 0)])
    with open(file, "a") as stream:
        stream.write(line + "\n")

    with pytest.raises(SourceError, match=f"pool.jsonl:2 .*{reason}"):
        read_pairs(file)
