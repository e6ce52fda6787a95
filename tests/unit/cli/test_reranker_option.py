"""Which of the worker's rerankers a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.cli.flags.reranker import find_offered

OFFERED = ("bge-reranker-v2-m3", "precise")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("precise", "precise"),
        ("BAAI/bge-reranker-v2-m3", "bge-reranker-v2-m3"),
        ("models/bge-reranker-v2-m3/", "bge-reranker-v2-m3"),
        ("BAAI/bge-reranker-base", None),
        ("", None),
    ],
)
def test_a_name_is_looked_for_with_and_without_its_owner(name: str, found: str | None) -> None:
    assert find_offered(name, OFFERED) == found


def test_a_folder_is_meant_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "precise").mkdir()

    assert find_offered(str(tmp_path / "precise"), OFFERED) is None
