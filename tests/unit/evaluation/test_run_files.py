"""A run file gives back the run that was written into it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import DiskError, SourceError
from connector.evaluation.trec import read_run, write_run
from connector.types import Hit

IDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff") | st.sampled_from(" %25\t"), min_size=1
)


@given(st.dictionaries(IDS, st.lists(IDS, min_size=1, unique=True)))
def test_ids_and_order_come_back_whatever_is_in_the_ids(
    tmp_path_factory: pytest.TempPathFactory, run: dict[str, list[str]]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.run"
    write_run(file, {query: tuple(Hit(doc_id, 1.0) for doc_id in doc_ids) for query, doc_ids in run.items()}, "any")

    assert {query: [hit.doc_id for hit in ranking] for query, ranking in read_run(file).items()} == run


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("q Q0 d 2 1", "no line of a run"),
        ("q Q0 e 2 high run", "'high' is no number"),
        ("q Q0 d 2 1 run", "has already"),
    ],
)
def test_a_line_that_is_none_is_named(line: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "any.run"
    file.write_text(f"q Q0 d 1 2 run\n{line}\n")

    with pytest.raises(SourceError, match=f"any.run:2 .*{reason}"):
        read_run(file)


def test_scores_decide_and_not_the_lines(tmp_path: Path) -> None:
    file = tmp_path / "any.run"
    file.write_text("q Q0 low 1 0.5 run\nq Q0 high 2 1e1 run\n")

    assert read_run(file)["q"] == (Hit("high", 10.0), Hit("low", 0.5))


class RankingOnAFullDisk(tuple[Hit, ...]):
    def __iter__(self) -> Iterator[Hit]:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    file, ranking = tmp_path / "any.run", (Hit("d", 1.0),)
    write_run(file, {"q": ranking}, "any")
    with pytest.raises(DiskError, match="No space left"):
        write_run(file, {"other": ranking, "p": RankingOnAFullDisk(ranking)}, "any")

    assert [*read_run(file)] == ["q"]
    assert [*tmp_path.iterdir()] == [file]
