"""Which of the worker's rerankers a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.cli.flags.reranker import find_offered
from connector.cli.flags.settings import SearchSettingsFlags

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


def test_the_worker_of_a_flag_is_that_of_the_first_stage_whatever_it_is_called(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("rerankers: {small: {}, big: {}}\nsearch: {rerank: [{reranker: big}]}\n")
    flags = SearchSettingsFlags(config=file, worker_url="http://given:1")

    assert flags.read().rerankers["big"].url == "http://given:1"
    assert flags.read(rerankers__big__url="http://own:1").rerankers["big"].url == "http://own:1"  # the command's own
    assert SearchSettingsFlags(worker_url="http://given:1").read().first_reranker.url == "http://given:1"
