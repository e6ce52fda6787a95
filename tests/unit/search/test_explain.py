"""A hit's score can be worked out again from its explanation, and from nothing else."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connector.search.fusion import fuse, fusion_of_legs
from connector.search.stages.order import blend, explain_blend
from connector.settings.search import FusionSettings, LegSettings, StageSettings
from connector.types import Hit, Ranking

SCORES = st.floats(-1e3, 1e3, allow_subnormal=False) | st.integers(0, 3).map(float)
SHARES = st.floats(0, 1, allow_subnormal=False) | st.sampled_from([0.0, 1.0])


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    found = draw(st.dictionaries(st.sampled_from("abcdefgh"), SCORES, max_size=8))
    return tuple(Hit(doc_id, score) for doc_id, score in sorted(found.items(), key=lambda hit: (-hit[1], hit[0])))


@st.composite
def fusions(draw: st.DrawFn) -> FusionSettings:
    return FusionSettings(
        kind=draw(st.sampled_from(["rrf", "linear"])),
        rank_constant=draw(st.integers(1, 100)),
        normalisation=draw(st.sampled_from(["minmax", "zscore"])),
    )


@st.composite
def weighted_legs(draw: st.DrawFn) -> dict[str, LegSettings]:
    """Three legs, not all without weight."""
    weights = draw(st.tuples(*[st.floats(0, 10, allow_subnormal=False)] * 3).filter(lambda given: max(given) > 1e-3))
    kinds = {"lexical": "lexical", "titles": "lexical", "dense": "dense"}
    return {
        name: LegSettings(kind=kind, weight=weight) for (name, kind), weight in zip(kinds.items(), weights, strict=True)
    }


def score_again(explained: dict[str, Any]) -> float:
    """The score by the formulas of docs/reference, from the explanation as JSON has it."""
    total = 0.0
    for part in explained["parts"].values():
        if explained["kind"] == "rrf":
            total += part["weight"] / (explained["rank_constant"] + part["rank"])
        else:
            total += part["weight"] * part["normalised"]
    return total


def as_json(explanation: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(asdict(explanation)))
    return read


@given(lexical=rankings(), titles=rankings(), dense=rankings(), legs=weighted_legs(), fusion=fusions())
def test_a_fused_score_is_what_its_legs_add(
    lexical: Ranking, titles: Ranking, dense: Ranking, legs: dict[str, LegSettings], fusion: FusionSettings
) -> None:
    found = {"lexical": lexical, "titles": titles, "dense": dense}
    fused = fuse(found, legs, fusion)
    explained = fusion_of_legs(legs, fusion).explain(found, [hit.doc_id for hit in fused])

    for hit in fused:
        explanation = explained[hit.doc_id]
        assert math.isclose(score_again(as_json(explanation)), hit.score, rel_tol=1e-9, abs_tol=1e-9)
        assert math.isclose(explanation.score, hit.score, rel_tol=1e-9, abs_tol=1e-9)


@st.composite
def weights(draw: st.DrawFn) -> dict[str, float]:
    before, rerank = draw(st.tuples(SHARES, SHARES).filter(any))
    stage = StageSettings(weights={"before": before, "rerank": rerank, "lexical": draw(SHARES), "dense": draw(SHARES)})
    return stage.weights_with(["lexical", "dense"], "cross-encoder")


@given(window=rankings(), lexical=rankings(), dense=rankings(), reranked=rankings(), shares=weights())
def test_a_final_score_is_what_its_signals_add(
    window: Ranking, lexical: Ranking, dense: Ranking, reranked: Ranking, shares: dict[str, float]
) -> None:
    known, legs = {hit.doc_id for hit in window}, {"lexical": lexical, "dense": dense}
    scored = tuple(hit for hit in reranked if hit.doc_id in known)
    final = blend(window, legs, scored, shares)
    explained = explain_blend(window, legs, scored, shares, [hit.doc_id for hit in window])

    assert set(explained) == {hit.doc_id for hit in scored} == {hit.doc_id for hit in final}
    for hit in final:
        explanation = as_json(explained[hit.doc_id])
        assert math.isclose(score_again(explanation), hit.score, rel_tol=1e-9, abs_tol=1e-9)
        assert all(part["weight"] == shares[name] for name, part in explanation["parts"].items())
