"""Who gets which pair, and what is kept of what they say."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.evaluation.judging import make_folder, make_plain_folder

from connector.errors import SettingsError
from connector.evaluation.files.judgments import read_judgments
from connector.judging.folder import JudgingFolder
from connector.judging.grades import Grade, GradeLog
from connector.judging.page.assignment import Sharing
from connector.judging.page.defaults import WINDOW
from connector.judging.page.desk import Desk, PairInHand
from connector.judging.pooling.next_pairs import NextPairs
from connector.judging.pooling.pool import Pooling, make_pool, write_runs
from connector.types import Hit


@dataclass
class Clock:
    """Time that passes when a test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def desk(
    path: Path, *, queries: int = 3, documents: int = 4, overlap: float = 0.0, seed: int = 0, clock: Clock | None = None
) -> Desk:
    if not (path / "pool.jsonl").exists():
        make_plain_folder(path, queries=queries, documents=documents)
    return Desk(JudgingFolder(path), Sharing(overlap, seed), hold_s=60, clock=clock or Clock())


def take(desk: Desk, rater: str) -> PairInHand:
    task = desk.hand_out(rater)
    assert task is not None
    return task


def judge_all(desk: Desk, rater: str) -> list[tuple[str, str]]:
    """The pairs that the rater gets, one after the other, each of which gets a 1."""
    keys_judged = []
    while task := desk.hand_out(rater):
        desk.grade(rater, task.pair.key, 1)
        keys_judged.append(task.pair.key)
    return keys_judged


def test_alone_a_rater_gets_every_pair_once(tmp_path: Path) -> None:
    alone = desk(tmp_path)

    assert sorted(judge_all(alone, "anna")) == sorted(alone.pairs)
    assert alone.progress("anna").finished == 12
    assert judge_all(desk(tmp_path), "anna") == []  # after a restart too


def test_a_pair_in_hand_stays_in_hand_and_is_given_to_nobody_else(tmp_path: Path) -> None:
    clock = Clock()
    shared = desk(tmp_path, queries=1, documents=2, clock=clock)
    first = take(shared, "anna").pair
    clock.now = 59

    assert take(shared, "anna").pair is first  # which holds it longer
    clock.now = 100
    assert take(shared, "ben").pair is not first
    assert shared.hand_out("carl") is None
    assert shared.progress("carl").elsewhere == 2


def test_a_pair_that_is_held_too_long_is_given_to_others_and_a_late_grade_is_kept_too(tmp_path: Path) -> None:
    clock = Clock()
    shared = desk(tmp_path, queries=1, documents=1, clock=clock)
    key = take(shared, "anna").pair.key
    clock.now = 61

    assert take(shared, "ben").pair.key == key
    shared.grade("ben", key, 2)
    shared.grade("anna", key, 3)
    assert [(grade.by, grade.grade) for grade in shared.log.read()] == [("ben", 2), ("anna", 3)]


def test_a_share_of_the_pairs_is_judged_by_two_whoever_they_are(tmp_path: Path) -> None:
    shared = desk(tmp_path, queries=10, documents=10, overlap=0.25)
    dice = random.Random(1)
    raters = ["anna", "ben", "carl"]
    while raters:
        rater = dice.choice(raters)
        if task := shared.hand_out(rater):
            shared.grade(rater, task.pair.key, dice.randrange(4))
        else:
            raters.remove(rater)
    counts = Counter((grade.query_id, grade.doc_id) for grade in shared.log.history())

    assert set(counts) == set(shared.pairs)
    assert set(counts.values()) == {1, 2}
    assert 15 <= sum(count == 2 for count in counts.values()) <= 35  # of 100
    twice = {key for key, count in counts.items() if count == 2}
    assert twice == {key for key in shared.pairs if Sharing(0.25, 0).raters_of(key) == 2}
    assert twice != {key for key in shared.pairs if Sharing(0.25, 1).raters_of(key) == 2}


def test_who_is_alone_is_told_what_waits_for_a_second_rater(tmp_path: Path) -> None:
    shared = desk(tmp_path, overlap=1.0)
    assert len(judge_all(shared, "anna")) == 12
    progress = shared.progress("anna")

    assert (progress.finished, progress.second) == (0, 12)
    assert len(judge_all(shared, "ben")) == 12
    assert judge_all(shared, "carl") == []
    assert shared.progress("ben").finished == 12


def test_each_rater_has_an_order_of_their_own_that_a_restart_does_not_change(tmp_path: Path) -> None:
    orders = {}
    for name in ("anna", "anna", "ben", "ben"):
        for file in ("grades.jsonl", ".grades.lock"):
            (tmp_path / file).unlink(missing_ok=True)
        order = judge_all(desk(tmp_path), name)
        assert orders.setdefault(name, order) == order
    pool = list(desk(tmp_path).pairs)

    assert orders["anna"] != orders["ben"]
    assert pool not in orders.values()


def test_pairs_of_one_query_come_together_and_their_order_tells_no_rank(tmp_path: Path) -> None:
    judged = judge_all(desk(tmp_path, queries=4, documents=5), "anna")
    queries = [query_id for query_id, _ in judged]
    changes = sum(before != after for before, after in pairwise(queries))
    ranks = [
        [int(doc_id.rpartition("d")[2]) for query_id, doc_id in judged if query_id == query] for query in set(queries)
    ]

    assert changes == 3
    assert not any(rank == sorted(rank) for rank in ranks)


def test_where_the_order_decides_only_the_first_may_come_and_each_grade_changes_what_they_are(tmp_path: Path) -> None:
    shared = desk_of_runs(tmp_path, "move-to-front")
    following = NextPairs.open(shared.folder)
    for at in range(40):
        allowed = following.next(WINDOW)
        key = take(shared, "anna").pair.key
        assert key in allowed
        grade = 3 if key[1].endswith(("1", "2")) else 0
        shared.grade("anna", key, grade)
        following.tell(*key, grade)
        if at % 7 == 3:
            shared.undo("anna")
            following.tell(*key, None)
    judge_all(shared, "anna")

    assert shared.progress("anna").finished == len(shared.pairs)


def test_where_the_order_decides_second_raters_get_their_share_and_models_spare_nobody_a_grade(tmp_path: Path) -> None:
    shared = desk_of_runs(tmp_path, "decide", overlap=0.3)
    log = GradeLog(tmp_path / "grades.jsonl")
    keys = list(shared.pairs)
    log.extend(Grade(*key, 2, "gpt", "model") for key in keys[:50])
    log.extend(Grade(*key, 1, "old", "imported") for key in keys[50:])
    judged = {name: judge_all(shared, name) for name in ("anna", "ben")}
    twice = {key for key in keys if Sharing(0.3, 0).raters_of(key) == 2}

    assert set(judged["anna"]) == set(keys[:50]) | (set(keys[50:]) & twice)
    assert set(judged["ben"]) == set(keys[:50]) & twice
    assert shared.progress("ben").finished == len(keys)


def desk_of_runs(path: Path, order: str, *, overlap: float = 0.0) -> Desk:
    """Two pipelines over ten queries, which agree on half of what they find."""
    make_folder(path, {f"q{at}": f"query {at}" for at in range(10)}, [])
    folder = JudgingFolder(path)
    for name, shift in (("lexical", 0), ("reranked", 5)):
        rankings = {
            f"q{at}": tuple(Hit(f"q{at}d{rank + shift}", float(-rank)) for rank in range(10)) for at in range(10)
        }
        write_runs(folder, {name: rankings})
    make_pool(folder, Pooling(order=order), {})
    return Desk(folder, Sharing(overlap, 0), hold_s=60, clock=Clock())


def test_a_skip_leaves_the_pair_to_others_and_can_be_looked_at_again(tmp_path: Path) -> None:
    shared = desk(tmp_path, queries=1, documents=2)
    key = take(shared, "anna").pair.key
    shared.grade("anna", key, None)
    judge_all(shared, "anna")

    assert (shared.progress("anna").skipped, shared.progress("anna").finished) == (1, 1)
    assert take(shared, "ben").pair.key == key
    assert shared.hand_out("anna") is None
    shared.grade("ben", key, None)
    assert shared.look_again("anna") == 1
    assert judge_all(shared, "anna") == [key]
    assert shared.progress("anna").finished == 2


def test_an_undo_brings_the_pair_back_with_its_note_and_the_one_before_after_it(tmp_path: Path) -> None:
    shared = desk(tmp_path)
    first, second = take(shared, "anna").pair.key, None
    shared.grade("anna", first, 3, "says so twice")
    second = take(shared, "anna").pair.key
    shared.grade("anna", second, None)
    take(shared, "anna")

    assert shared.undo("anna") is not None
    assert take(shared, "anna").pair.key == second
    assert shared.undo("anna") is not None
    again = take(shared, "anna")
    assert (again.pair.key, again.note) == (first, "says so twice")
    assert shared.undo("anna") is None
    assert shared.log.read() == ()


def test_an_undo_takes_nothing_of_others(tmp_path: Path) -> None:
    shared = desk(tmp_path)
    shared.grade("ben", take(shared, "ben").pair.key, 1)

    assert shared.undo("anna") is None
    assert [grade.by for grade in shared.log.read()] == ["ben"]


def test_what_is_sent_twice_is_kept_once_and_another_grade_changes_it(tmp_path: Path) -> None:
    shared = desk(tmp_path)
    key = take(shared, "anna").pair.key
    shared.grade("anna", key, 2, "a note")
    shared.grade("anna", key, 2, "a note")
    desk(tmp_path).grade("anna", key, 2, "a note")  # after a restart too
    assert len(shared.log.history()) == 1

    shared.grade("anna", key, 1, "a note")

    assert [(grade.grade, grade.note) for grade in shared.log.read()] == [(1, "a note")]


@pytest.mark.parametrize(("key", "grade"), [(("q0", "elsewhere"), 1), (("q0", "q0d0"), 4), (("q0", "q0d0"), -1)])
def test_what_is_not_in_the_pool_or_no_grade_is_refused(tmp_path: Path, key: tuple[str, str], grade: int) -> None:
    with pytest.raises(SettingsError):
        desk(tmp_path).grade("anna", key, grade)
    assert not (tmp_path / "grades.jsonl").exists()


def test_a_pool_of_other_queries_is_refused(tmp_path: Path) -> None:
    make_plain_folder(tmp_path, queries=2, documents=1)
    queries = tmp_path / "queries.jsonl"
    queries.write_text(queries.read_text().splitlines()[0] + "\n")

    with pytest.raises(SettingsError, match=r"1 queries that queries.jsonl lacks, such as 'q1'.*connector judge pool"):
        desk(tmp_path)


def test_what_was_imported_is_not_asked_for_again(tmp_path: Path) -> None:
    shared = desk(tmp_path, queries=1, documents=2)
    GradeLog(tmp_path / "grades.jsonl").append(Grade("q0", "q0d0", 4, "trec", "imported"))

    assert judge_all(shared, "anna") == [("q0", "q0d1")]
    assert shared.progress("anna").finished == 2
    assert shared.raters() == {"anna": 1}


def test_grades_of_models_and_of_earlier_pools_change_nothing_for_people(tmp_path: Path) -> None:
    shared = desk(tmp_path, queries=1, documents=2)
    log = GradeLog(tmp_path / "grades.jsonl")
    log.append(Grade("q0", "q0d0", 3, "gpt", "model"))
    log.append(Grade("q9", "gone", 2, "anna"))

    assert len(judge_all(shared, "anna")) == 2
    assert shared.progress("anna").graded == 2
    assert shared.raters() == {"anna": 3}


def test_a_disagreement_is_settled_and_opened_again(tmp_path: Path) -> None:
    shared = desk(tmp_path, queries=1, documents=1, overlap=1.0)
    key = ("q0", "q0d0")
    shared.grade("anna", key, 3)
    shared.grade("ben", key, 1, "only the name")
    (open_one,) = shared.disagreements()
    assert (open_one.settled, shared.progress("anna").open_disagreements) == (None, 1)

    shared.settle("anna", key, 2)
    shared.settle("anna", key, 2)
    assert [disagreement.settled for disagreement in shared.disagreements()] == [2]
    assert [grade.about for grade in shared.log.read() if grade.by == "settled"] == [{"settled_by": "anna"}]
    assert shared.write_qrels().qrels == {"q0": {"q0d0": 2}}
    assert len(shared.log.history()) == 3

    shared.settle("ben", key, None)
    assert [disagreement.settled for disagreement in shared.disagreements()] == [None]
    shared.write_qrels()
    assert read_judgments(tmp_path / "qrels" / "test.tsv").qrels == {"q0": {"q0d0": 1}}


def test_without_a_grade_no_file_of_judgments_is_written(tmp_path: Path) -> None:
    shared = desk(tmp_path)
    shared.grade("anna", take(shared, "anna").pair.key, None)

    assert shared.write_qrels().grades == ()
    assert not (tmp_path / "qrels").exists()


@settings(max_examples=25, deadline=None)
@given(
    moves=st.lists(
        st.tuples(st.sampled_from(["anna", "ben", "carl"]), st.sampled_from(["0", "3", "skip", "undo", "look", "wait"]))
    )
)
def test_whatever_raters_do_nobody_judges_a_pair_twice_and_no_pair_is_judged_too_often(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, str]]
) -> None:
    clock = Clock()
    shared = desk(tmp_path_factory.mktemp("moves"), queries=2, documents=3, overlap=0.5, clock=clock)
    expected: dict[tuple[str, tuple[str, str]], int | None] = {}
    taken_back = set()  # their raters get them again, whoever judged them since
    for rater, move in moves:
        task = shared.hand_out(rater)
        if move == "undo":
            last = shared.undo(rater)
            if last:
                del expected[rater, (last.query_id, last.doc_id)]
                taken_back.add((last.query_id, last.doc_id))
        elif task and move != "look" and move != "wait":
            grade = None if move == "skip" else int(move)
            assert (rater, task.pair.key) not in expected
            shared.grade(rater, task.pair.key, grade)
            expected[rater, task.pair.key] = grade
    standing = {(grade.by, (grade.query_id, grade.doc_id)): grade.grade for grade in GradeLog(shared.log.path).read()}
    counts = Counter(key for (_, key), grade in standing.items() if grade is not None)

    assert standing == expected
    assert all(count <= Sharing(0.5, 0).raters_of(key) for key, count in counts.items() if key not in taken_back)
