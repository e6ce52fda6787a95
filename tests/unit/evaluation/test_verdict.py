"""One sentence says which pipeline is best, and whether that may be chance."""

from __future__ import annotations

from support.evaluation.evaluations import collection, evaluation, ranked

from connector.evaluation.report.figures import build_figures

JUDGED = collection({str(at): {"x": 1} for at in range(20)})
FIRST, SECOND = ranked("x"), ranked("-", "x")


def verdict(*, better: int, baseline: str = "fused", degraded: int = 0) -> str:
    """Of `fused`, whose document is always second, and `reranked`, whose document is first for so many queries."""
    runs = {
        "fused": dict.fromkeys(JUDGED.qrels, SECOND),
        "reranked": {query_id: FIRST if int(query_id) < better else SECOND for query_id in JUDGED.qrels},
    }
    notes = {"reranked": {str(at): "late" for at in range(degraded)}}
    done = evaluation(
        JUDGED, runs, baseline=baseline, took_ms={"fused": 2.0, "reranked": 60.0}, degraded=notes, measures=("RR@10",)
    )
    return str(build_figures(done)["verdict"])


def test_a_gain_that_is_more_than_chance_is_named_with_its_cost() -> None:
    assert verdict(better=20, degraded=1) == (
        "reranked is best by RR@10: 1.000 against 0.500 of fused, a difference (+0.500) that is more than chance gives "
        "(p 0.0001 by Holm); it takes 300 ms at the median against 10 ms; 1 of its searches failed or were degraded."
    )


def test_a_gain_that_may_be_chance_is_said_to_be_one() -> None:
    assert "0.550 against 0.500 of fused, a difference (+0.050) that may be chance (p 0.5000" in verdict(better=2)


def test_a_baseline_that_nothing_beats_is_named() -> None:
    sentence = verdict(better=10, baseline="reranked")

    assert sentence.startswith(
        "No pipeline beats reranked by RR@10 (0.750, in 300 ms at the median); the nearest is fused"
    )
    assert verdict(better=0).startswith("No pipeline beats fused")


def test_a_pipeline_alone_has_its_figure() -> None:
    done = evaluation(JUDGED, {"fused": dict.fromkeys(JUDGED.qrels, FIRST)}, measures=("RR@10",))

    assert build_figures(done)["verdict"] == "fused has RR@10 1.000, in 50 ms at the median."
