"""How far a judging folder is: shares, paces, what so many queries show, and the next step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.evaluation.evaluations import ranked
from support.programs.command import flat

from connector.cli.tables.status import print_status
from connector.errors import SettingsError
from connector.evaluation.statistics.power import queries_needed, smallest_difference
from connector.evaluation.trec import write_run
from connector.judging.folder import JudgingFolder
from connector.judging.grades import SETTLED, Grade
from connector.judging.next_step import advise
from connector.judging.pairs import Pair, write_pairs
from connector.judging.status import FolderStatus, read_status
from connector.judging.trust.judges import compare_all

COUNT = 30


@pytest.fixture
def folder(tmp_path: Path) -> JudgingFolder:
    """Thirty queries, two pipelines that find a and b in either order, and a pool of both."""
    made = JudgingFolder(tmp_path)
    queries = [{"_id": f"q{at}", "text": f"query {at}"} for at in range(COUNT)]
    made.queries_file.write_text("".join(json.dumps(query) + "\n" for query in queries))
    (tmp_path / "runs").mkdir()
    ids = [query["_id"] for query in queries]
    write_run(made.run_file("fused"), dict.fromkeys(ids, ranked("a", "b")), "fused")
    write_run(made.run_file("reranked"), dict.fromkeys(ids, ranked("b", "a")), "reranked")
    write_pairs(made.pool_file, [Pair(query_id, doc, 0) for query_id in ids for doc in "ab"])
    return made


def judge(folder: JudgingFolder, queries: range, *, by: str = "anna", kind: str = "person", best: str = "b") -> None:
    """Of each pair of these queries, a grade every ten seconds."""
    folder.grades().extend(
        Grade(f"q{at}", doc, 3 if doc == best and at % 3 else 0, by, kind, at=f"2026-01-01T10:{at:02}:{second}0Z")
        for at in queries
        for doc, second in (("a", 0), ("b", 1))
    )


def status(folder: JudgingFolder, **options: object) -> FolderStatus:
    return read_status(folder, measured="RR@10", k=10, **options)


def test_shares_are_over_all_queries_of_a_run(folder: JudgingFolder) -> None:
    judge(folder, range(15))
    judge(folder, range(10, 20), by="gpt", kind="model")
    found = status(folder)

    assert (found.queries, found.judged_queries, found.pairs, found.judged_pairs) == (30, 20, 60, 40)
    assert [(run.name, run.judged_share, run.by_people, run.unjudged) for run in found.runs] == [
        ("fused", pytest.approx(2 / 3), 0.5, 20),
        ("reranked", pytest.approx(2 / 3), 0.5, 20),
    ]
    assert (found.pairs_of_both, found.grades_per_query) == (10, 2.0)


def test_each_judge_has_counts_and_a_pace(folder: JudgingFolder) -> None:
    judge(folder, range(3))
    folder.grades().append(Grade("q9", "a", None, "anna", at="2026-01-01T15:00:00Z"))  # five hours later
    folder.grades().append(Grade("q1", "a", 1, SETTLED))
    (work,) = status(folder).work

    assert (work.by, work.kind, work.graded, work.skipped) == ("anna", "person", 6, 1)
    assert work.grades == {0: 4, 3: 2}
    assert work.seconds == 10  # gaps of 10, 50, 10, 50, 10
    assert status(folder).seconds_per_grade == 10


def test_what_queries_show_follows_from_how_much_they_vary(folder: JudgingFolder) -> None:
    judge(folder, range(COUNT))
    found = status(folder, wished=0.05)
    (power,) = found.powers

    assert (found.baseline, power.name, power.queries) == ("fused", "reranked", 30)
    assert power.difference == pytest.approx(1 / 3)  # 20 of 30 queries gain a half
    assert power.deviation == pytest.approx(0.2397, abs=1e-4)
    assert power.smallest == smallest_difference(power.deviation, 30)
    assert power.needed == queries_needed(power.deviation, 0.05)
    assert (found.more_queries, found.more_grades) == (power.needed - 30, 2 * (power.needed - 30))
    assert status(folder, baseline="reranked").powers[0].difference == -power.difference


def test_several_comparisons_share_the_error_that_is_allowed(folder: JudgingFolder) -> None:
    judge(folder, range(COUNT))
    alone = status(folder).powers[0]
    write_run(folder.run_file("third"), dict.fromkeys(["q1"], ranked("a")), "third")
    beside = next(power for power in status(folder).powers if power.name == "reranked")

    assert beside.deviation == alone.deviation
    assert beside.needed > alone.needed


def test_a_baseline_that_was_not_pooled_is_refused(folder: JudgingFolder) -> None:
    with pytest.raises(SettingsError, match=r"no run 'dense' in .*; there are fused, reranked"):
        status(folder, baseline="dense")


def test_the_next_step_is_the_first_thing_that_is_missing(folder: JudgingFolder) -> None:
    def step(**options: object) -> str:
        return advise(status(folder, **options)).replace(str(folder.path), "FOLDER")

    assert step().startswith("judge the 60 pairs: connector judge page FOLDER")
    judge(folder, range(COUNT), by="gpt", kind="model")
    assert step().startswith("judge 50 of the pairs that the model judged, or nobody knows")
    judge(folder, range(25))
    judge(folder, range(1, 2), by="ben", best="a")
    assert step() == "settle 2 disagreements: connector judge page FOLDER"
    folder.grades().extend([Grade("q1", "a", 1, SETTLED), Grade("q1", "b", 2, SETTLED)])
    assert step(wished=0.01).startswith("take 4")
    assert step(wished=0.3) == "measure; so many queries show a difference of 0.3: connector eval FOLDER"
    write_run(folder.run_file("reranked"), dict.fromkeys(["q0"], ranked("new")), "reranked")
    assert step().startswith("pool again, since 1 documents among the first 10 are not judged")
    folder.run_file("reranked").unlink()
    assert step().endswith("connector judge pool FOLDER --pipeline lexical")
    folder.run_file("fused").rename(folder.run_file("lexical"))
    assert step().endswith("connector judge pool FOLDER --pipeline reranked")
    folder.run_file("lexical").unlink()
    assert step().startswith("pool what the pipelines find")


def test_a_new_folder_has_a_status_too(folder: JudgingFolder, capsys: pytest.CaptureFixture[str]) -> None:
    def show() -> str:
        print_status(status(folder), compare_all(folder.grades().read(), folder.runs(), measured="RR@10"))
        return flat(capsys.readouterr().out)

    first = show()
    judge(folder, range(12))
    then = show()
    judge(folder, range(8), by="gpt", kind="model")

    assert "gpt against people on 16 pairs of 8 queries: kappa 1.00" in show()
    assert "0 of 30 queries and 0 of 60 pairs are judged" in first
    assert "the rest takes people 0.1 hours at 10 s a grade" in then
    assert "RR@10 against fused: what 12 queries show" in then
