"""From answers to figures: means over all judged queries, times by stage, what failed; and searches in turn over a real
store."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.evaluation.evaluations import FACTS, MEASURES, answer, collection, evaluation, ranked
from support.parts import HashEncoder, schema_of

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.errors import SettingsError
from connector.evaluation.evaluate import measure_pipeline
from connector.evaluation.pipelines import Pipeline, PlannedSearch
from connector.evaluation.report.figures import build_baseline, build_figures
from connector.evaluation.route import Route
from connector.evaluation.runs import Answer, Answers, Search, answer_with_each
from connector.evaluation.statistics.latency import percentiles
from connector.evaluation.statistics.measures import check_measures, default_measures, measure
from connector.search.searcher import Searcher
from connector.settings.sections import Settings
from connector.types import Degradation, Document, IndexedDocument, Passage

JUDGED = collection({"a": {"x": 1}, "b": {"y": 2, "z": 1}, "c": {"x": 1}}, kinds={"a": "code", "b": "code"})
GOOD = {"a": ranked("x"), "b": ranked("y", "z"), "c": ranked("x", "-")}
POOR = {"a": ranked("-", "x"), "b": ranked("y", "z"), "c": ranked("x")}


def test_means_are_over_all_judged_queries() -> None:
    done = evaluation(JUDGED, {"half": {"a": ranked("x")}}).named("half")

    assert done.values["RR@10"] == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert done.mean("RR@10") == pytest.approx(1 / 3)


def test_a_run_that_answers_nothing_has_a_value_for_every_query() -> None:
    assert evaluation(JUDGED, {"none": {}}).named("none").values["nDCG@10"] == {"a": 0.0, "b": 0.0, "c": 0.0}


def test_measures_are_trec_evals() -> None:
    run = {"b": ranked("z", "-", "y")}
    found = measure(run, {"b": {"y": 2, "z": 1}}, ["nDCG@10", "AP", "R@1", "Judged@3"])

    assert found["nDCG@10"]["b"] == pytest.approx((1 + 2 / 2) / (2 + 1 / 1.584963), abs=1e-6)  # linear gain
    assert found["AP"]["b"] == pytest.approx((1 + 2 / 3) / 2)
    assert (found["R@1"]["b"], found["Judged@3"]["b"]) == (0.5, pytest.approx(2 / 3))


def test_names_of_measures_are_checked() -> None:
    assert check_measures(["ndcg@5".replace("ndcg", "nDCG"), "AP", "nDCG@5"]) == ("nDCG@5", "AP")
    assert check_measures(default_measures(7)) == ("nDCG@7", "RR@7", "AP", "R@7", "Judged@7")
    for name in ("nDGC@10", "10", "R@", "__import__('os')"):
        with pytest.raises(SettingsError, match="unknown measure"):
            check_measures([name])


def test_what_failed_and_what_was_degraded_is_counted_by_query() -> None:
    answers = Answers(
        (
            answer("a", fused=ranked("x"), degraded=[Degradation("local", "late")]),
            Answer("b", error="no leg answered"),
            answer("c", fused=ranked("x"), reranked=ranked("x")),
        )
    )
    last, fused = Pipeline("last"), Pipeline("fused", "fused")
    search = PlannedSearch(Settings(), (last, fused))
    whole, part = (measure_pipeline(pipeline, search, answers, FACTS, JUDGED, MEASURES) for pipeline in (last, fused))

    assert (whole.failed, whole.degraded, whole.troubled) == (
        {"b": "no leg answered"},
        {"a": ("local: late",)},
        2,
    )
    assert whole.values["RR@10"] == {"a": 1.0, "b": 0.0, "c": 1.0}
    assert (part.failed, part.degraded) == (whole.failed, {})
    assert whole.latency.p50 == 50.0  # the total of the two that were answered
    assert part.latency.p50 == 40.0  # encode, dense, fuse and fields


def test_the_way_to_a_ranking_is_its_longest_leg() -> None:
    took = {"lexical": 30.0, "encode": 5.0, "dense": 20.0, "fuse": 1.0, "local": 99.0, "fields": 2.0, "total": 133.0}

    assert Route(Settings()).answer_ms("lexical", took, last=False) == 32.0
    assert Route(Settings()).answer_ms("dense", took, last=False) == 27.0
    assert Route(Settings()).answer_ms("fused", took, last=False) == 33.0
    assert Route(Settings()).answer_ms("reranked", took, last=True) == 133.0


def test_percentiles_of_few_and_of_none() -> None:
    assert percentiles([float(at) for at in range(100)]) == type(percentiles([]))(50.0, 95.0, 99.0)
    assert percentiles([]).p99 == 0.0


def test_figures_hold_everything_that_reports_show() -> None:
    figures = build_figures(evaluation(JUDGED, {"poor": POOR, "good": GOOD}, took_ms={"poor": 1.0, "good": 9.0}))

    assert figures["measures"] == list(MEASURES)
    assert figures["comparisons"]["RR@10"]["good"]["difference"] == pytest.approx(0.5 / 3, abs=1e-6)
    assert figures["frontier"] == ["poor", "good"]
    assert figures["segments"]["kind"]["code"]["measures"]["poor"]["RR@10"] == 0.75
    assert figures["recall"]["pipelines"]["poor"]["values"][:2] == pytest.approx([0.5, 1.0], abs=0.01)
    (winner,) = figures["examples"]["good"]["winners"]
    assert (winner["query_id"], winner["text"], winner["before"], winner["now"]) == ("a", "text of a", 0.63093, 1.0)
    assert winner["rankings"] == {
        "poor": [{"doc_id": "-", "grade": None}, {"doc_id": "x", "grade": 1}],
        "good": [{"doc_id": "x", "grade": 1}],
    }
    assert figures["examples"]["good"]["losers"] == []


def test_a_baseline_keeps_values_and_no_texts() -> None:
    kept = build_baseline(evaluation(JUDGED, {"good": GOOD}))

    assert kept["pipelines"]["good"]["per_query"]["RR@10"] == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert kept["collection"]["fingerprint"] == JUDGED.fingerprint
    assert "text of a" not in str(kept)


def test_the_fingerprint_of_a_pipeline_follows_what_makes_its_ranking() -> None:
    def fingerprint(**sections: dict[str, object]) -> str:
        done = evaluation(JUDGED, {"good": GOOD}, settings=Settings.model_validate(sections))
        return str(build_baseline(done)["pipelines"]["good"]["fingerprint"])

    same = {
        fingerprint(),
        fingerprint(cluster={"url": "http://other"}),
        fingerprint(rerankers={"local": {"url": "http://other"}}),
    }

    assert len(same) == 1
    assert fingerprint(search={"fusion": {"kind": "linear"}}) not in same


async def test_each_query_goes_through_every_search_before_the_next(tmp_path: Path) -> None:
    encoder, asked = HashEncoder(), []
    cluster = await EmbeddedCluster.open(tmp_path)
    index = await cluster.create_index("docs", schema_of(encoder))
    text = Document("x", {"title": "text of a", "text": "text of a"})
    await index.write([IndexedDocument(text, "h", (Passage("x", 0, "text of a"),), encoder.encode(["text of a"]))])
    await index.finish()

    class Noting(Searcher):
        async def search(self, request):
            asked.append((self.name, request.query))
            return await super().search(request)

    searches = []
    for name in ("one", "two"):
        searcher = Noting(index, encoder, {}, Settings())
        searcher.name = name
        searches.append(Search(searcher, {"k": 1}))
    first, second = await answer_with_each(searches, JUDGED.queries)
    await cluster.close()

    assert (
        [response.query_id for response in first.answers]
        == [response.query_id for response in second.answers]
        == ["a", "b", "c"]
    )
    assert [name for name, _ in asked] == ["one", "two", "two", "one", "one", "two"]
    assert [query for _, query in asked[:4]] == ["text of a", "text of a", "text of b", "text of b"]
    assert first.runs["fused"]["a"][0].doc_id == "x"
    assert first.runs["fused"]["a"][0].passages == ()
    assert not first.degraded
