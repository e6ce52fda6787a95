"""A late-interaction scorer against the formula of MaxSim, written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.runs.effort import tries

from connector.errors import ModelError
from connector.models.late_interaction import FLOOR_SHARE, LateInteractionScorer, max_sims, spread
from connector.models.scorer import Cancelled

PASSAGES = [
    "Tier-2 partners keep a registered deal for ninety days.",
    "The cat sat on the mat.",
    "",
    "A registered deal lasts three months, unless it is extended once. " * 4,
    "red fish",
]
QUERY = "how long is a deal registered"


def naive_max_sim(query: np.ndarray, weights: np.ndarray, passage: np.ndarray) -> float:
    total = 0.0
    for vector, weight in zip(query, weights, strict=True):
        total += weight * max(float(np.dot(vector, other)) for other in passage)
    return total


@pytest.fixture(scope="module")
def tiny(tiny_encoder_folder: Path) -> LateInteractionScorer:
    return LateInteractionScorer(str(tiny_encoder_folder), device="cpu")


@given(st.integers(1, 6), st.lists(st.integers(1, 9), max_size=40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_max_sims_are_weighted_means_of_each_query_tokens_best(q: int, ts: list[int], dims: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    query, weights = random.standard_normal((q, dims)).astype("f"), random.random(q).astype("f")
    passages = [random.standard_normal((t, dims)).astype(np.float16) for t in ts]
    naive = [naive_max_sim(query, weights, passage.astype("f")) for passage in passages]

    assert max_sims(query, weights, passages).tolist() == pytest.approx(naive, rel=1e-4, abs=1e-4)


def test_scores_equal_a_naive_computation_on_the_models_own_vectors(
    tiny: LateInteractionScorer, tiny_encoder_folder: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    scores = tiny.score(QUERY, PASSAGES)

    model = SentenceTransformer(str(tiny_encoder_folder), device="cpu")
    query, *passages = (
        np.asarray(vectors / vectors.norm(dim=-1, keepdim=True))
        for vectors in model.encode([QUERY, *PASSAGES], output_value="token_embeddings")
    )
    equal = np.full(len(query), 1 / len(query))
    assert scores.values.tolist() == pytest.approx(
        [naive_max_sim(query, equal, passage) for passage in passages], abs=2e-3
    )
    assert scores.values.dtype == np.float32


def test_a_text_is_nearest_to_itself(tiny: LateInteractionScorer) -> None:
    scores = tiny.score(PASSAGES[0], PASSAGES)

    assert scores.values[0] == pytest.approx(1.0, abs=2e-3)
    assert int(scores.values.argmax()) == 0
    assert (np.abs(scores.values) <= 1.002).all()


def test_a_passage_that_answers_is_above_one_that_does_not(minilm: LateInteractionScorer) -> None:
    scores = minilm.score(QUERY, PASSAGES).values

    assert min(scores[0], scores[3]) > max(scores[1], scores[2], scores[4])


def test_a_cache_changes_no_score(tiny_encoder_folder: Path, tiny: LateInteractionScorer) -> None:
    cached = LateInteractionScorer(str(tiny_encoder_folder), device="cpu", cache_bytes=10_000_000)

    first = cached.score(QUERY, PASSAGES).values
    second = cached.score(QUERY, PASSAGES).values

    assert first == pytest.approx(second, abs=1e-5)
    assert first == pytest.approx(tiny.score(QUERY, PASSAGES).values, abs=1e-5)
    assert cached.cache.hits == len(PASSAGES)


def test_a_full_cache_changes_no_score(tiny_encoder_folder: Path, tiny: LateInteractionScorer) -> None:
    small = LateInteractionScorer(str(tiny_encoder_folder), device="cpu", cache_bytes=2_000)

    scores = [small.score(QUERY, PASSAGES).values for _ in range(3)]

    assert all(np.allclose(score, tiny.score(QUERY, PASSAGES).values, atol=1e-3) for score in scores)


@settings(max_examples=tries(6))
@given(st.permutations(range(len(PASSAGES))), st.integers(1, len(PASSAGES)))
def test_a_score_does_not_depend_on_what_is_scored_beside_it(
    tiny: LateInteractionScorer, order: list[int], count: int
) -> None:
    chosen = order[:count]

    scores = tiny.score(QUERY, [PASSAGES[position] for position in chosen]).values

    assert scores == pytest.approx(tiny.score(QUERY, PASSAGES).values[chosen], abs=1e-3)


def test_the_token_budget_of_a_batch_changes_no_score(tiny_encoder_folder: Path, tiny: LateInteractionScorer) -> None:
    narrow = LateInteractionScorer(str(tiny_encoder_folder), device="cpu", max_batch_tokens=64)

    assert narrow.score(QUERY, PASSAGES).values == pytest.approx(tiny.score(QUERY, PASSAGES).values, abs=1e-3)


def test_the_same_passage_twice_has_the_same_score(tiny: LateInteractionScorer) -> None:
    scores = tiny.score(QUERY, [PASSAGES[0], PASSAGES[4], PASSAGES[0]]).values

    assert scores[0] == scores[2]


def test_nothing_to_score_is_no_scores(tiny: LateInteractionScorer) -> None:
    assert tiny.score(QUERY, []).values.tolist() == []


def test_a_passage_that_is_too_long_is_cut_and_named(tiny: LateInteractionScorer) -> None:
    middle = "filler " * 200

    scores = tiny.score("start", [f"start {middle} end", "start end", f"start {middle} other"])

    assert scores.truncated == (0, 2)
    assert not scores.query_truncated
    assert scores.values[0] != scores.values[2]  # the tail is read


def test_a_query_that_is_too_long_is_cut_and_named(tiny: LateInteractionScorer) -> None:
    scores = tiny.score("long " * 300, ["passage"], weights=[(0, 4, 1.0)])

    assert scores.query_truncated
    assert np.isfinite(scores.values).all()


def test_a_shorter_length_can_be_set(tiny_encoder_folder: Path) -> None:
    short = LateInteractionScorer(str(tiny_encoder_folder), device="cpu", max_length=12)

    assert short.score("word", ["word " * 9, "word " * 11]).truncated == (1,)


def test_the_weight_of_a_word_raises_passages_that_hold_it(minilm: LateInteractionScorer) -> None:
    query, passages = "red fish", ["A wall that was painted red.", "A fish swims in the sea."]

    to_red = minilm.score(query, passages, weights=[(0, 3, 5.0), (4, 8, 0.1)]).values
    to_fish = minilm.score(query, passages, weights=[(0, 3, 0.1), (4, 8, 5.0)]).values

    assert to_red[0] > to_red[1]
    assert to_fish[1] > to_fish[0]


def test_a_caller_who_hung_up_costs_no_further_batch(tiny_encoder_folder: Path) -> None:
    scorer = LateInteractionScorer(str(tiny_encoder_folder), device="cpu", max_batch_tokens=64)
    seen = []

    def check() -> None:
        seen.append(1)
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        scorer.score(QUERY, [f"{text} {number}" for number in range(9) for text in PASSAGES], check=check)
    assert len(seen) == 2


def test_equal_weights_without_any() -> None:
    assert spread(None, [(0, 3), (3, 5), (6, 8), (8, 9)], [0] * 4).tolist() == [0.25] * 4


def test_the_tokens_of_a_word_share_its_weight() -> None:
    shares = spread([(0, 5, 3.0), (6, 8, 1.0)], [(0, 3), (3, 5), (6, 8)], [0, 0, 0])

    assert shares.tolist() == pytest.approx([1.5 / 4, 1.5 / 4, 1 / 4])


def test_special_tokens_and_stop_words_take_a_share_of_the_mean() -> None:
    shares = spread([(3, 6, 2.0), (7, 9, 4.0)], [(0, 0), (0, 2), (3, 6), (7, 9), (0, 0)], [1, 0, 0, 0, 1])

    floor = FLOOR_SHARE * 3.0
    total = 3 * floor + 6.0
    assert shares.tolist() == pytest.approx([floor / total, floor / total, 2 / total, 4 / total, floor / total])


def test_weights_that_are_all_zero_count_alike() -> None:
    assert spread([(0, 1, 0.0)], [(0, 1), (2, 3)], [0, 0]).tolist() == [0.5, 0.5]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8), st.floats(0, 20)), max_size=5),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8), st.booleans()), min_size=1, max_size=10),
)
def test_weights_add_up_to_1(spans: list[tuple[int, int, float]], tokens: list[tuple[int, int, bool]]) -> None:
    shares = spread(
        [(start, start + length, weight) for start, length, weight in spans],
        [(start, start + length) for start, length, _ in tokens],
        [int(special) for _, _, special in tokens],
    )

    assert float(shares.sum()) == pytest.approx(1.0, abs=1e-5)
    assert (shares >= 0).all()


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(ModelError, match="cannot load"):
        LateInteractionScorer(str(tmp_path), device="cpu")
