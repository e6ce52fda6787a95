"""A hit's score can be worked out again from its explanation, and from nothing else."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.search.fusion import fuse, fusion_of_legs
from connector.search.order import blend, blend_combination, explain_blend
from connector.settings.sections import FusionSettings
from connector.types import Hit, Ranking

SCORES = st.floats(-1e3, 1e3, allow_subnormal=False) | st.integers(0, 3).map(float)
SHARES = st.floats(0, 1, allow_subnormal=False) | st.sampled_from([0.0, 1.0])


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    found = draw(st.dictionaries(st.sampled_from("abcdefgh"), SCORES, max_size=8))
    return tuple(Hit(doc_id, score) for doc_id, score in sorted(found.items(), key=lambda hit: (-hit[1], hit[0])))


@st.composite
def fusions(draw: st.DrawFn) -> FusionSettings:
    weights = draw(st.tuples(st.floats(0, 10), st.floats(0, 10)).filter(any))
    return FusionSettings(
        kind=draw(st.sampled_from(["rrf", "linear"])),
        rank_constant=draw(st.integers(1, 100)),
        weights=weights,
        normalisation=draw(st.sampled_from(["minmax", "zscore"])),
        alpha=draw(SHARES),
    )


def score_again(explained: dict[str, Any]) -> float:
    """The score by the formulas of docs/reference, from the explanation as JSON has it."""
    total = 0.0
    for part in explained["parts"].values():
        if explained["kind"] == "rrf":
            total += part["weight"] / (explained["rank_constant"] + part["rank"])
        elif explained["kind"] == "linear":
            total += part["weight"] * part["normalised"]
        else:
            total += part["value"]
    return total


def as_json(explanation: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(asdict(explanation)))
    return read


@given(lexical=rankings(), dense=rankings(), fusion=fusions())
def test_a_fused_score_is_what_its_legs_add(lexical: Ranking, dense: Ranking, fusion: FusionSettings) -> None:
    legs = {"lexical": lexical, "dense": dense}
    fused = fuse(legs, fusion)
    explained = fusion_of_legs(fusion).explain(legs, [hit.doc_id for hit in fused])

    for hit in fused:
        explanation = explained[hit.doc_id]
        assert math.isclose(score_again(as_json(explanation)), hit.score, rel_tol=1e-9, abs_tol=1e-9)
        assert math.isclose(explanation.score, hit.score, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("how", ["rerank", "rrf", "linear"])
@given(window=rankings(), reranked=rankings(), alpha=SHARES, rank_constant=st.integers(1, 100))
def test_a_blended_score_is_what_the_first_stage_and_the_reranker_add(
    how: Any, window: Ranking, reranked: Ranking, alpha: float, rank_constant: int
) -> None:
    known = {hit.doc_id for hit in window}
    scored = tuple(hit for hit in reranked if hit.doc_id in known)
    combination = blend_combination(how, alpha=alpha, rank_constant=rank_constant)
    final = blend(window, scored, combination)
    explained = explain_blend(window, scored, combination, [hit.doc_id for hit in window])

    assert set(explained) == {hit.doc_id for hit in scored}
    for hit in final:
        again = score_again(as_json(explained[hit.doc_id]))
        assert math.isclose(again, hit.score, rel_tol=1e-9, abs_tol=1e-9)
