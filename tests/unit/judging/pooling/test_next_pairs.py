"""Which pair comes next, by each order: all of them once, by the grades alone, and in milliseconds."""

from __future__ import annotations

import random
import time
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import SettingsError, SourceError
from connector.evaluation.statistics.measures import Run
from connector.judging.folder import JudgingFolder
from connector.judging.grades import Grade
from connector.judging.pairs import PairKey
from connector.judging.pooling.depth import pool_keys
from connector.judging.pooling.next_pairs import ORDERS, JudgingOrder, NextPairs
from connector.judging.pooling.pool import Pooling, make_pool, write_runs
from connector.types import Hit

RUNS: dict[str, dict[str, list[str]]] = {
    "left": {"q1": ["a", "b", "c"], "q2": ["a", "x", "y"]},
    "right": {"q1": ["a", "d", "e"], "q2": ["a", "y", "x"]},
}


def ranked(runs: dict[str, dict[str, list[str]]]) -> dict[str, Run]:
    return {
        name: {query_id: tuple(Hit(doc_id, 1 / at) for at, doc_id in enumerate(doc_ids, 1))
               for query_id, doc_ids in run.items()}
        for name, run in runs.items()
    }  # fmt: skip


def pairs_of(runs: dict[str, dict[str, list[str]]], order: JudgingOrder, *, depth: int = 3, seed: int = 1) -> NextPairs:
    found = ranked(runs)
    return NextPairs(pool_keys(found.values(), depth), found, order, depth=depth, seed=seed)


def random_runs(queries: int, depth: int, names: str = "abcd") -> dict[str, dict[str, list[str]]]:
    chance = random.Random(5)
    return {
        name: {f"q{at}": [f"d{n}" for n in chance.sample(range(3 * depth), depth)] for at in range(queries)}
        for name in names
    }


def judge(pairs: NextPairs, relevant: set[PairKey], count: int) -> list[PairKey]:
    """The pairs that are asked for one after the other."""
    asked = []
    for _ in range(count):
        (key,) = pairs.next()
        pairs.tell(*key, 2 if key in relevant else 0)
        asked.append(key)
    return asked


@pytest.mark.parametrize("order", ORDERS)
def test_every_pair_is_asked_once(order: JudgingOrder) -> None:
    pairs = pairs_of(RUNS, order)
    asked = judge(pairs, {("q1", "d"), ("q2", "a")}, 8)

    assert sorted(asked) == sorted(pool_keys(ranked(RUNS).values(), 3))
    assert pairs.left == 0
    assert pairs.next() == pairs.next(5) == ()


@pytest.mark.parametrize("order", ORDERS)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.none() | st.integers(0, 3)), max_size=30), st.integers(0, 3), st.randoms()
)
def test_the_same_grades_lead_to_the_same_pairs(
    order: JudgingOrder, grades: list[tuple[int, int | None]], seed: int, chance: random.Random
) -> None:
    """However often grades were changed and taken back on the way, and in whatever order they came."""
    runs = random_runs(4, 5)
    keys = sorted(pool_keys(ranked(runs).values(), 5))
    went, came = pairs_of(runs, order, depth=5, seed=seed), pairs_of(runs, order, depth=5, seed=seed)
    for at, grade in grades:
        went.tell(*keys[at % len(keys)], grade)
        went.next()
    last = {keys[at % len(keys)]: grade for at, grade in grades}
    for key in chance.sample(sorted(last), len(last)):
        came.tell(*key, last[key])

    assert went.next(3) == came.next(3)
    assert went.left == came.left


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_with_somebody_else_is_passed_over(order: JudgingOrder) -> None:
    pairs = pairs_of(RUNS, order)
    whole = pairs.next(8)
    others = pairs.next(8, without=set(whole[:3]))

    assert len(whole) == 8
    assert sorted(others) == sorted(whole[3:])
    assert pairs.next() == whole[:1]


def test_depth_asks_for_the_first_of_every_run_before_the_second() -> None:
    asked = pairs_of(RUNS, "depth").next(8)

    assert sorted(asked[:2]) == [("q1", "a"), ("q2", "a")]
    assert sorted(asked[2:6]) == [("q1", "b"), ("q1", "d"), ("q2", "x"), ("q2", "y")]
    assert pairs_of(RUNS, "depth", seed=2).next(8) != asked


def test_move_to_front_stays_with_a_list_that_finds_and_leaves_one_that_does_not() -> None:
    runs = {"good": {"q1": list("abcdef")}, "bad": {"q1": list("uvwxyz")}}
    relevant = {("q1", doc_id) for doc_id in "abcde"}
    asked = [doc_id for _, doc_id in judge(pairs_of(runs, "move-to-front", depth=6), relevant, 8)]

    assert asked[asked.index("a") :][:6] == list("abcdef")
    assert "w" not in asked


def test_decide_asks_for_what_tells_pipelines_apart() -> None:
    """Both have `same` at the first place, so its grade makes no difference to them."""
    runs = {
        "left": {"q1": ["same", "mine", "x"], "q2": ["same", "x", "y"]},
        "right": {"q1": ["same", "x", "yours"], "q2": ["same", "x", "y"]},
    }
    asked = pairs_of(runs, "decide").next(8)

    assert sorted(asked[:3]) == [("q1", "mine"), ("q1", "x"), ("q1", "yours")]
    assert asked[0] == ("q1", "mine")
    assert {key[0] for key in asked[3:]} == {"q1", "q2"}


def test_decide_looks_where_the_order_is_open_and_says_how_sure_it_is() -> None:
    """`worst` has lost by every grade; what tells the other two apart comes first then."""
    runs = {
        name: {f"q{at}": [f"{place}{at}" for place in places] for at in range(12)}
        for name, places in {"best": "abc", "second": "acb", "worst": "xyz"}.items()
    }
    pairs = pairs_of(runs, "decide")
    for at in range(12):
        pairs.tell(f"q{at}", f"a{at}", 3)
        pairs.tell(f"q{at}", f"x{at}", 0)
    expected = {(order.ahead, order.behind): order for order in pairs.expect()}
    asked = pairs.next(12)

    assert {("best", "worst"), ("second", "worst")} <= set(expected)
    assert expected["best", "worst"].certainty > 0.999
    assert all(doc_id[0] in "bc" for _, doc_id in asked)
    assert min(order.certainty for order in expected.values()) == pytest.approx(0.5, abs=0.2)


def test_what_is_expected_comes_to_what_is_measured() -> None:
    runs = random_runs(30, 5, "ab")
    pairs = pairs_of(runs, "decide", depth=5)
    relevant = {("q" + str(at), doc_id) for at in range(30) for doc_id in runs["a"][f"q{at}"][:2]}
    judge(pairs, relevant, pairs.left)
    (whole,) = pairs.expect()

    assert (whole.ahead, whole.behind, whole.certainty) == ("a", "b", 1.0)
    assert whole.difference > 0.3
    assert pairs_of(runs, "decide").expect() == ()


@pytest.mark.parametrize("order", ORDERS)
def test_the_next_pair_costs_a_part_of_making_the_order_anew(order: JudgingOrder) -> None:
    """In processor time, and the median of the tries: of some thousand pairs it is milliseconds."""
    runs = random_runs(200, 10)
    began = time.thread_time()
    pairs = pairs_of(runs, order, depth=10)
    made = time.thread_time() - began
    took = []
    for at, key in enumerate(islice(iter(lambda: pairs.next()[0], None), 30)):
        began = time.thread_time()
        pairs.tell(*key, at % 3)
        pairs.next()
        took.append(time.thread_time() - began)

    assert pairs.left > 3000
    assert sorted(took)[15] < made / 3


def test_a_folder_that_was_not_pooled_here_is_asked_by_depth_and_an_unknown_order_is_said(tmp_path: Path) -> None:
    folder = JudgingFolder(tmp_path)
    write_runs(folder, ranked(RUNS))
    made = make_pool(folder, Pooling(depth=3), {})
    folder.facts_file.unlink()
    by_depth = NextPairs.open(folder).next(8)
    folder.facts_file.write_text('{"order": "chance", "depth": 3, "seed": 1}')

    assert len(by_depth) == len(made.pairs) == made.new == made.not_found == 8
    with pytest.raises(SettingsError, match="'chance'; known are depth, move-to-front, decide"):
        NextPairs.open(folder)
    folder.facts_file.write_text("[]")
    with pytest.raises(SourceError, match="no JSON object"):
        NextPairs.open(folder)


def test_what_is_pooled_again_keeps_its_fields_and_its_grades(tmp_path: Path) -> None:
    folder = JudgingFolder(tmp_path)
    write_runs(folder, ranked(RUNS))
    first = make_pool(folder, Pooling(depth=3), {("q1", "b"): {"title": "kept"}})
    folder.grades().append(Grade("q1", "b", 2, "anna"))
    folder.grades().append(Grade("q1", "c", None, "anna"))
    second = make_pool(folder, Pooling(depth=1), {})
    kept = {pair.key: pair.fields for pair in second.pairs}

    assert (first.new, first.left) == (8, 8)
    assert (second.new, second.graded, second.left) == (0, 1, 2)
    assert sorted(kept) == [("q1", "a"), ("q1", "b"), ("q2", "a")]
    assert kept["q1", "b"] == {"title": "kept"}
    assert {name: alone for name, _, _, alone in first.shares(folder.runs())} == {"left": 2, "right": 2}
