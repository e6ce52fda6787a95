"""The split, the space, the rule by which a choice is made, the budget, and what is advised: on rankings that are
written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import chain

import pytest
from support.evaluation.evaluations import collection, evaluation
from support.parts import passage

from connector.cli.tables.tuning import _best
from connector.errors import SettingsError
from connector.evaluation.statistics.latency import Percentiles
from connector.search.legs.ask import FirstStage
from connector.settings.load import setting_names
from connector.settings.sections import Settings
from connector.settings.sizes import check_sizes
from connector.tuning.advice import advise, find
from connector.tuning.choice import Choice, describe, read_choice, values_of, with_choice
from connector.tuning.choose import NOISE, Chosen, Difference, _Descent, choose
from connector.tuning.offline import Material, OfflineFigures, WindowScores
from connector.tuning.space import build_space
from connector.tuning.split import split
from connector.tuning.timing import Budget, Option, Timing
from connector.tuning.tune import TUNED, YOURS, Tuned
from connector.types import Hit, Ranking

SETTINGS = Settings.model_validate({"search": {"depth": 20, "k": 5, "rerank": {"window": 10}}})
CURRENT = read_choice(SETTINGS)
SPACE = build_space(SETTINGS, depths=(10, 20), windows=(5, 10))
QUERIES = [f"q{number:02}" for number in range(20)]
JUDGED = collection({query: {"good": 1} for query in QUERIES})
ALIKE = QUERIES[:5]  # where all have the same rankings, a few tell as much as many: one for each fold


def leg(*doc_ids: str) -> Ranking:
    return tuple(
        Hit(doc_id, float(len(doc_ids) - position), (passage(doc_id),)) for position, doc_id in enumerate(doc_ids)
    )


def material(scores: Mapping[str | None, Mapping[str, float]], *, place: int = 2) -> dict[str, Material]:
    """The same for every query: both legs have the relevant document in that place, and rerankers score documents
    so."""
    others = ["a", "b", "c", "d", "e", "f"]
    ranking = leg(*others[: place - 1], "good", *others[place - 1 :])
    kept = {
        model: WindowScores({passage(doc_id).text: score for doc_id, score in of_documents.items()}, "cross-encoder")
        for model, of_documents in scores.items()
    }
    return {query: Material(FirstStage(query, {"lexical": ranking, "dense": ranking}), kept) for query in QUERIES}


def figures(scores: Mapping[str | None, Mapping[str, float]], *, place: int = 2) -> OfflineFigures:
    made = material(scores, place=place)
    judged = collection({query: {"good": 1} for query in ALIKE})
    return OfflineFigures(judged, {query: made[query] for query in ALIKE}, SETTINGS, measured="RR@5")


HELPFUL = {"good": 9.0, "a": 1.0, "b": 1.5, "c": 0.5, "d": 0.4, "e": 0.3, "f": 0.2}
HARMFUL = {doc_id: -score for doc_id, score in HELPFUL.items()}


def test_the_split_is_the_same_every_time_and_holds_every_query_once() -> None:
    judged = collection({f"q{number}": {"x": 1} for number in range(31)})
    train, test = split(judged, test_share=0.5)
    again, _ = split(judged.only(judged.queries[::-1]), test_share=0.5)

    assert [query.query_id for query in train.queries] == [query.query_id for query in again.queries]
    assert {*train.qrels, *test.qrels} == set(judged.qrels)
    assert not {*train.qrels} & {*test.qrels}
    assert (len(train.queries), len(test.queries)) == (15, 16)


@pytest.mark.parametrize(("count", "share"), [(19, 0.5), (60, 0.9), (60, 0.1)])
def test_too_few_queries_on_either_side_are_refused(count: int, share: float) -> None:
    with pytest.raises(SettingsError, match="each side needs 10, so judge more queries"):
        split(collection({f"q{number}": {"x": 1} for number in range(count)}), test_share=share)


def test_a_choice_is_settings_and_comes_back_from_them() -> None:
    other = replace(
        CURRENT, depth=7, kind="linear", weights=(2.0, 0.0), window=9, blend=(0.4, 0.1, 0.3, 0.2), model="m"
    )

    assert read_choice(with_choice(SETTINGS, other)) == other
    assert with_choice(SETTINGS, CURRENT) == SETTINGS
    assert not with_choice(SETTINGS, replace(other, rerank=False)).search.rerank
    assert all(map(setting_names().is_setting, other.paths))


def test_what_a_choice_makes_meaningless_is_not_written() -> None:
    plain = replace(CURRENT, rerank=False)

    assert not {"search.fusion.normalisation", "rerankers.local.model"} & set(plain.paths)
    assert "search.fusion.rank_constant" not in replace(CURRENT, kind="linear").paths
    assert replace(plain, normalisation="zscore", window=7).changes(plain) == 0
    assert values_of(SETTINGS, plain)["search.rerank"] == ()


def test_every_choice_of_the_space_is_one_that_a_search_can_have() -> None:
    space = build_space(SETTINGS)
    tried = [
        choice
        for start in (CURRENT, replace(CURRENT, rerank=False), replace(CURRENT, depth=200, window=100))
        for choice in chain(*space.groups(start))
    ]

    assert len(set(tried)) > 150
    for choice in tried:
        check_sizes(k=5, windows=[choice.window], reach=2 * choice.depth)
        Settings.model_validate(with_choice(SETTINGS, choice).model_dump())


def test_windows_that_no_depth_fills_and_depths_below_k_are_left_out() -> None:
    ten = Settings.model_validate({"search": {"depth": 20, "k": 10, "rerank": {"window": 10}}})
    space = build_space(ten, depths=(2, 20), windows=(5, 10, 40, 50))

    assert (space.depths, space.windows, space.k) == ((20,), (10, 40), 10)
    with pytest.raises(SettingsError, match="a depth to try"):
        build_space(SETTINGS, depths=(0,))


def test_a_reranker_that_helps_is_taken_and_of_settings_that_are_as_good_the_cheapest() -> None:
    chosen = choose(figures({None: HELPFUL}), CURRENT, SPACE, [(None, "helpful")])

    assert chosen.choice.rerank
    assert chosen.trials[0].gain == pytest.approx(0.5)
    assert (chosen.choice.window, chosen.choice.depth) == (5, 10)
    assert (chosen.choice.kind, chosen.choice.weights) == ("rrf", (1.0, 1.0))  # nothing is gained by another fusion
    assert chosen.choice.blend == CURRENT.blend


def with_a_late_answer(*, queries: int) -> OfflineFigures:
    """So many queries have their answer eleventh in one leg: deeper legs find it. All others have it first in both."""
    others = [f"d{at}" for at in range(24)]
    first = FirstStage("", {"lexical": leg("good", *others), "dense": leg("good", *others)})
    late = FirstStage("", {"lexical": leg(*others[:10], "good", *others[10:]), "dense": leg(*others[::-1])})
    made = {query: Material(late if at < queries else first, {}) for at, query in enumerate(QUERIES)}
    return OfflineFigures(JUDGED, made, SETTINGS, measured="AP")


def test_a_cheaper_search_is_taken_where_what_it_loses_is_noise_and_that_is_explained() -> None:
    made, current = with_a_late_answer(queries=1), replace(CURRENT, rerank=False)
    chosen = choose(made, current, SPACE, [])
    advice = advise(made, current, chosen, find(made, chosen.choice), Budget(None), min_recall=0)
    (text,) = [hint.text for hint in advice if hint.about == "cheaper"]

    assert chosen.dearer
    assert (chosen.choice.depth, chosen.dearer.depth) == (10, 20)
    assert 0 < made.mean(chosen.dearer) - made.mean(chosen.choice) < NOISE
    assert text.startswith(f"{describe(chosen.choice)} was taken, which costs less, though {describe(chosen.dearer)}")
    assert "is within noise (standard error 0.00" in text


def test_a_cheaper_search_is_not_taken_where_it_loses_more() -> None:
    chosen = choose(with_a_late_answer(queries=4), CURRENT, SPACE, [])

    assert (chosen.choice.depth, chosen.dearer) == (20, None)


def test_the_best_that_was_seen_is_taken_also_where_the_way_went_past_it() -> None:
    made = figures({None: HELPFUL})
    best = replace(CURRENT, kind="linear", weights=(1.78, 0.22), window=5)  # no group of the space has it
    made.values(best)
    search = _Descent(made, CURRENT, SPACE, Budget(None))

    assert search.cheapest(search.seen(rerank=True, model=None)) == best
    assert search.seen(rerank=True, model="another") == []


@pytest.mark.parametrize(
    ("mean", "standard_error", "expected"),
    [(0.1, 0.0, True), (0.0, 0.0, True), (-0.004, 0.005, True), (-0.004, 0.003, False), (-0.006, 0.05, False)],
)
def test_noise_is_a_standard_error_and_little(mean: float, standard_error: float, expected: bool) -> None:
    assert Difference(mean, standard_error).is_noise is expected


def test_a_planted_harmful_reranker_is_refused() -> None:
    made = figures({None: HARMFUL})
    chosen = choose(made, CURRENT, SPACE, [(None, "planted")])
    advice = advise(made, CURRENT, chosen, find(made, chosen.choice), Budget(None), min_recall=0.7)

    assert not chosen.choice.rerank
    assert [hint.about for hint in advice] == ["reranker-hurts", "reranker-hurts"]
    assert "as it is configured hurts: RR@5 0.2000 with it, 0.5000 without" in advice[0].text
    assert "do not rerank with planted" in advice[1].text


def test_the_better_of_two_rerankers_is_taken() -> None:
    chosen = choose(
        figures({None: HARMFUL, "second": HELPFUL}), CURRENT, SPACE, [(None, "planted"), ("second", "second")]
    )

    assert (chosen.choice.rerank, chosen.choice.model) == (True, "second")
    assert [chosen.takes(trial) for trial in chosen.trials] == [False, True]


def test_a_gain_that_chance_may_give_is_none() -> None:
    both = material({None: HELPFUL}) | {
        query: own_material for query, own_material in material({None: HELPFUL}, place=1).items() if query > "q00"
    }
    made = OfflineFigures(JUDGED, both, SETTINGS, measured="RR@5")  # helps one query of twenty
    chosen = choose(made, CURRENT, SPACE, [(None, "lucky")])
    advice = advise(made, CURRENT, chosen, find(made, chosen.choice), Budget(None), min_recall=0.7)
    (trial,) = chosen.trials

    assert trial.gain == pytest.approx(trial.standard_error)
    assert trial.gain > 0
    assert not chosen.choice.rerank
    assert advice[-1].about == "reranker-unproven"


SUBTLE = {"good": 1.1, "a": 1.0, "b": 0.9, "c": 0.8, "d": 0.7, "e": 0.6, "f": 0.5}  # right, and soon outvoted


def with_subtle_scores(*, queries: int) -> OfflineFigures:
    """So many queries need the reranker's own order; the others have their answer first everywhere."""
    needing, others = material({None: SUBTLE}, place=5), material({None: SUBTLE}, place=1)
    made = {query: (needing if at < queries else others)[query] for at, query in enumerate(QUERIES)}
    return OfflineFigures(JUDGED, made, SETTINGS, measured="RR@5")


@cache
def chosen_by_subtle_scores(*, queries: int) -> tuple[OfflineFigures, Chosen]:
    made = with_subtle_scores(queries=queries)
    return made, choose(made, CURRENT, SPACE, [(None, "subtle")])


def test_weights_that_gain_on_queries_they_were_not_chosen_on_are_taken() -> None:
    made, chosen = chosen_by_subtle_scores(queries=20)
    advice = advise(made, CURRENT, chosen, find(made, chosen.choice), Budget(None), min_recall=0)
    (trial,) = chosen.trials

    assert made.mean(CURRENT) < made.mean(chosen.choice) == 1
    assert chosen.choice.blend in SPACE.blends
    assert trial.weights.mean > 0
    assert [hint.text for hint in advice if hint.about == "weights"] == [
        f"other weights of the final order were taken, which gain {trial.weights.mean:+.4f} (standard error 0.0000), "
        "on queries that they were not chosen on"
    ]


def test_weights_whose_gain_may_be_chance_stay_as_they_are() -> None:
    made, chosen = chosen_by_subtle_scores(queries=3)
    (trial,) = chosen.trials

    assert any(figure > made.mean(trial.best) for figure in map(made.mean, made.known()))
    assert trial.best.blend == CURRENT.blend
    assert 0 < trial.weights.mean <= 2 * trial.weights.standard_error


@pytest.mark.parametrize(("queries", "expected"), [(3, False), (20, True)])
def test_the_best_of_a_window_has_other_weights_only_where_they_proved_their_gain(queries: int, expected: bool) -> None:
    made, chosen = chosen_by_subtle_scores(queries=queries)
    found, tested = (
        find(made, chosen.choice),
        evaluation(JUDGED, {TUNED: dict.fromkeys(QUERIES, leg("good"))}, measures=("RR@5",)),
    )
    best = _best(
        Tuned(JUDGED, SETTINGS, CURRENT, chosen, (), made, found, Budget(None), (), tested),
        lambda choice: choice.rerank,
    )

    assert best
    assert (best.blend != CURRENT.blend) is expected


def test_weights_of_the_final_order_add_up_to_1_and_have_those_of_the_kind() -> None:
    given = [weights for weights in SPACE.blends if weights is not None]

    assert CURRENT.blend in SPACE.blends
    assert all(sum(weights) == pytest.approx(1, abs=0.001) for weights in given)
    assert len(set(SPACE.blends)) == len(given) + 1 == len(SPACE.blends) == 14


def timing(p95: float, *, depth: int = 20, window: int = 0, late: float = 0.0) -> Timing:
    return Timing(Option(depth, window), "helpful" if window else "", Percentiles(p95 / 2, p95, p95), late)


def within(p95_ms: float | None, *timings: Timing) -> Chosen:
    return choose(
        figures({None: HELPFUL}, place=7), CURRENT, SPACE, [(None, "helpful")], budget=Budget(p95_ms, tuple(timings))
    )


LEGS = (timing(10, depth=10), timing(20, depth=20))


def test_what_is_above_the_budget_is_not_taken() -> None:
    slow, fast = timing(200, window=10), timing(50, window=5)

    assert within(None, *LEGS, slow, fast).choice.window == 10  # only there is the relevant document found
    assert not within(100, *LEGS, slow, fast).choice.rerank
    assert within(15, *LEGS, slow, fast).choice.depth == 10


def test_a_reranker_that_would_help_but_is_too_slow_is_told_of() -> None:
    made = figures({None: HELPFUL}, place=5)
    budget = Budget(100, (*LEGS, timing(200, window=10), timing(150, window=5)))
    chosen = choose(made, CURRENT, SPACE, [(None, "helpful")], budget=budget)
    advice = advise(made, CURRENT, chosen, find(made, chosen.choice), budget, min_recall=0)

    assert not chosen.choice.rerank
    assert [hint.about for hint in advice] == ["budget"]
    assert "helpful gains +0.8000" in advice[0].text


def test_a_reranker_that_runs_into_the_deadline_is_not_taken() -> None:
    assert not within(None, *LEGS, timing(200, window=10, late=0.2)).choice.rerank


def test_a_budget_that_nothing_keeps_to_is_said() -> None:
    chosen = within(5, *LEGS, timing(200, window=10), timing(50, window=5))
    made, budget = figures({None: HELPFUL}), Budget(5, LEGS)
    advice = advise(made, CURRENT, chosen, find(made, chosen.choice), budget, min_recall=0)

    assert not chosen.within_budget
    assert any("no settings keep to 5 ms: the fastest search has a p95 of 10 ms" in hint.text for hint in advice)


@pytest.mark.parametrize(("window", "expected"), [(5, True), (10, False)])
def test_a_window_that_lacks_what_is_relevant_is_a_problem_of_recall(window: int, expected: bool) -> None:
    made = figures({}, place=7)
    current = replace(CURRENT, rerank=False, window=window)
    chosen = Chosen(current, current, ())
    found = find(made, current)
    advice = advise(made, current, chosen, found, Budget(None), min_recall=0.7)

    assert (found.recall, found.ceiling) == ((0.0, 0.0) if expected else (1.0, 1.0))
    assert [hint.about for hint in advice] == (["recall"] if expected else [])
    assert all("recall, not ranking, is the problem: the 5 fused hits hold 0%" in hint.text for hint in advice)


def tuned(run: Mapping[str, Ranking], *, p95_ms: float | None = None, within_budget: bool = True) -> Tuned:
    """A tuning whose test queries were ranked so by the tuned settings, in 50 ms each, and with the good one second by
    yours."""
    made = figures({})
    yours = dict.fromkeys(QUERIES, leg("a", "good"))
    tested = evaluation(JUDGED, {YOURS: yours, TUNED: run}, measures=("RR@5",))
    chosen = Chosen(CURRENT, CURRENT, (), within_budget)
    found = find(made, replace(CURRENT, rerank=False))
    return Tuned(JUDGED, SETTINGS, CURRENT, chosen, (), made, found, Budget(p95_ms), (), tested)


def test_settings_that_do_worse_on_the_test_queries_are_refused() -> None:
    (reason,) = tuned(dict.fromkeys(QUERIES, leg("a", "b", "good"))).refusals

    assert "on the test queries the tuned settings are worse than yours: RR@5 0.3333, yours 0.5000" in reason


def test_settings_that_are_as_good_or_better_are_not_refused() -> None:
    assert tuned(dict.fromkeys(QUERIES, leg("a", "good"))).refusals == []
    assert tuned(dict.fromkeys(QUERIES, leg("good", "a")), p95_ms=60).refusals == []


def test_settings_that_break_the_budget_on_the_test_queries_are_refused() -> None:
    best = dict.fromkeys(QUERIES, leg("good", "a"))

    assert ["took 50 ms (p95), more than the 40 ms" in refusal for refusal in tuned(best, p95_ms=40).refusals] == [True]
    assert tuned(best, p95_ms=40, within_budget=False).refusals == ["nothing keeps to the budget"]


def test_the_bound_of_a_rule_that_saves_most_without_a_loss_is_taken() -> None:
    rerank = {"window": 10, "when": {"agree_below": 2}}
    ruled = Settings.model_validate({"search": {"depth": 20, "k": 5, "rerank": rerank}})
    current = read_choice(ruled)
    others = leg("good", "a", "b", "c", "d", "e"), leg("good", "a", "b", "c", "d", "e")  # the legs agree on all five
    late = leg("a", "b", "c", "d", "good"), leg("e", "f", "b", "c", "good")  # on three
    helped = WindowScores({passage(doc_id).text: score for doc_id, score in HELPFUL.items()}, "cross-encoder")
    made = {
        query: Material(
            FirstStage(query, dict(zip(("lexical", "dense"), late if at % 2 else others, strict=True))), {None: helped}
        )
        for at, query in enumerate(QUERIES)
    }
    found = OfflineFigures(JUDGED, made, ruled, measured="RR@5")
    space = replace(build_space(ruled, depths=(20,), windows=(10,)), blends=(), leg_weights=((1.0, 1.0),))
    chosen = choose(found, current, space, [(None, "helpful")])

    assert found.mean(current) < found.mean(chosen.choice) == 1.0
    assert chosen.choice.bounds == ((None, 4),)  # of 4 and no rule at all, which find as much, what reranks less
    assert found.cost(chosen.choice) == (3.5, 20)  # seven documents of every second query
    assert "agree_below 4" in describe(chosen.choice)


def test_the_space_of_three_legs_moves_weight_between_kinds_and_tries_each_leg_alone() -> None:
    legs = {"titles": {"kind": "lexical", "weight": 3, "depth": 7}}
    settings = Settings.model_validate({"search": {"k": 5, "legs": legs}})
    space = build_space(settings)

    assert (space.free, space.fixed) == (2, 7)
    assert {(3.0, 0.0, 0.0), (0.0, 3.0, 0.0), (0.0, 0.0, 3.0), (0.375, 1.5, 1.125)} <= set(space.leg_weights)
    assert all(len(blend) == 5 for blend in space.blends if blend is not None)
    assert all(isinstance(choice, Choice) for choice in chain(*space.groups(read_choice(settings))))
