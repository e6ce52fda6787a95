"""A hit's score can be worked out again from its explanation, and from nothing else."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connector.search.fusion import fuse, fusion_of_legs
from connector.search.order import blend, explain_blend
from connector.settings.sections import FusionSettings, RerankWeights
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
        else:
            total += part["weight"] * part["normalised"]
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


@st.composite
def weights(draw: st.DrawFn) -> RerankWeights:
    fused, rerank = draw(st.tuples(SHARES, SHARES).filter(any))
    return RerankWeights(fused=fused, rerank=rerank, lexical=draw(SHARES), dense=draw(SHARES))


@given(window=rankings(), lexical=rankings(), dense=rankings(), reranked=rankings(), shares=weights())
def test_a_final_score_is_what_its_signals_add(
    window: Ranking, lexical: Ranking, dense: Ranking, reranked: Ranking, shares: RerankWeights
) -> None:
    known, legs = {hit.doc_id for hit in window}, {"lexical": lexical, "dense": dense}
    scored = tuple(hit for hit in reranked if hit.doc_id in known)
    final = blend(window, legs, scored, shares)
    explained = explain_blend(window, legs, scored, shares, [hit.doc_id for hit in window])

    assert set(explained) == {hit.doc_id for hit in scored} == {hit.doc_id for hit in final}
    for hit in final:
        explanation = as_json(explained[hit.doc_id])
        assert math.isclose(score_again(explanation), hit.score, rel_tol=1e-9, abs_tol=1e-9)
        assert all(part["weight"] == getattr(shares, name) for name, part in explanation["parts"].items())
