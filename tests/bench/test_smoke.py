"""Every program in bench/ runs, small: a handful of documents, one round, and one JSON object on its last line."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support.indices.scratch import drop, unique_name
from support.models import tiny_models
from support.programs.benches import Bench
from support.runs.missing import skip_or_fail

from connector.models.files import find_model
from connector.settings.sections import ClusterSettings

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()

pytestmark = pytest.mark.timeout(900)


def test_every_target_and_every_program_has_a_smoke_run() -> None:
    targets = dict(re.findall(r"^bench-([a-z-]+):.*\n\t@\$\(BIN\)/python bench/(\w+)\.py", MAKEFILE, re.MULTILINE))
    smoked = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
    smoked |= {"peers"}  # in test_peers.py
    programs = {file.stem for file in (ROOT / "bench").glob("*.py")}
    imported = {
        name
        for file in (ROOT / "bench").glob("*.py")
        for name in re.findall(r"^from (\w+) import", file.read_text(), re.MULTILINE)
    }
    started = {"baselines"}  # by worker, as processes

    assert set(re.findall(r"^bench-([a-z-]+):", MAKEFILE, re.MULTILINE)) == targets.keys()
    assert targets.keys() <= smoked
    assert programs <= {*targets.values(), *imported, *started}


def test_quality(run: Bench) -> None:
    report = run("quality", "slice", "--cluster", "embedded:store", "--set", "search.rerank={window: 10}")

    assert report["queries"] == 3
    assert set(report["measures"]) == {"lexical", "dense", "fused", "reranked"}
    assert report["measures"]["fused"]["R@50"] > 0.5
    assert report["degraded"] == 0
    assert "late-interaction" in report["reranker"]


def test_cascade(run_torch: Bench) -> None:
    small = ("--shape", "TinyBERT-L2", "--window", "10", "--last", "10", "--when", "{query_words_at_least: 99}")
    report = run_torch("cascade", "slice", "--cluster", "embedded:store", *small)

    assert report["cross_encoder"].startswith("random weights")
    assert report["degraded"] == 0
    assert report["ran"]["cascade"] == {"late": 3, "cross": 3}
    assert report["ran"]["cascade with rules"] == {"late": 3, "cross": 0}
    assert report["p50_ms"].keys() == {"fused", "cross-encoder over all", "cascade", "cascade with rules"}
    assert min(report["p50_ms"].values()) > 0  # in which order, three queries of a busy machine do not say


def test_judging(run: Bench) -> None:
    report = run("judging", "slice", "--cluster", "embedded:store", "--tries", "1")
    (tried,) = report["collections"]

    assert tried["queries"] == 3
    assert set(tried["full"]) == {"lexical", "dense", "fused", "fused-linear", "fused-lexical"}
    assert len(tried["grades"]) == 6
    assert all(1 <= count <= tried["pool"] for counts in tried["grades"].values() for count in counts)


def test_judging_hidden(run: Bench) -> None:
    report = run("judging_hidden", "slice", "--cluster", "embedded:store", "--kept", "0.5", "--errors", "0", "0.9")
    (tried,) = report["collections"]
    never, mostly = tried["errors"]

    assert tried["queries"] == 3
    assert never["requests"] == mostly["requests"] == tried["depth_pool"]
    assert never["pairs_of_both"] == tried["kept"] > 0
    assert never["kappa"] == never["kappa_known"] == never["same"] == 1
    assert mostly["kappa"] < 0.5
    assert never["order_is_right"]


def test_order(run: Bench) -> None:
    report = run("order", "slice:0:5", "slice-again:0:5", "--cluster", "embedded:store")

    assert set(report["fused"]) == {"slice-0-5", "slice-again-0-5"}
    assert {"0.7 0 0 0.3", "0.2 0.25 0.25 0.3", "0.2 0.2 0.2 0.4", "0 0 0 1"} <= report["gains"].keys()
    assert report["raised"]["0 0 0 1"][-1] > report["raised"]["0 0 0 1"][0]
    for name, chosen in report["left_out"].items():
        assert chosen["gain"] == report["gains"][chosen["weights"]][name]


def test_models(run: Bench) -> None:
    model = "all-MiniLM-L6-v2"
    (run.folder / "Other_1").symlink_to(find_model(model))
    small = ("--encoders", model, "Other_1", "--rerankers", model, "--keep", "kept")
    report = run("models", "slice", *small, "--cluster", "embedded:store")
    first, other = report["collections"]["slice"]["pairs"].values()

    assert report["collections"]["slice"]["queries"] == 3
    assert report["mean"]["stages"]["fused, all-MiniLM-L6-v2"]["R@50"] > 0.5
    assert first["nDCG@10"] == other["nDCG@10"] > 0
    assert other["over the first pair"]["difference"] == 0
    assert {file.name for file in (run.folder / "kept").iterdir()} == {f"slice.{model}.pickle", "slice.Other_1.pickle"}


def test_ingest(run: Bench) -> None:
    report = run("ingest", "slice:1:4", "--rounds", "1", "--documents", "300", "--sizes", "300")
    encoder, ways, memory = report["encoder"], report["pipeline"]["sink"], report["memory"]["300"]

    assert encoder["passages"] >= encoder["documents"] > 0
    assert 0.1 < encoder["share"]["per_cpu_second"] < 1.5  # of a few documents, where a job's own start counts most
    assert ways.keys() == {"connector", "elasticsearch-py parallel_bulk"}
    assert all(way["per_second"] > 0 for way in ways.values())
    assert memory["written"] == 300
    assert memory["most_mb"] >= memory["tenth_mb"] > 0


@pytest.mark.live
def test_vectors(run: Bench, elasticsearch: ClusterSettings) -> None:
    small = ("--choices", "byte_hnsw", "--index", unique_name(), "--form-documents", "10")
    report = run("vectors", "slice", "--cluster", elasticsearch.url, *small)
    (rows,), (forms,) = report["engines"].values(), report["forms"].values()

    assert {"byte_hnsw"} < rows.keys()
    assert all(row["recall@100"] > 0.9 and row["disk_mb"] > 0 and row["search_ms"] > 0 for row in rows.values())
    assert forms["base64"]["mb"] < forms["floats"]["mb"] < forms["list"]["mb"]
    assert report["signs_alone"]["recall@10"] <= rows["byte_hnsw"]["recall@10"]


def test_encoders(run: Bench) -> None:
    report = run("encoders", "slice", "--models", "all-MiniLM-L6-v2", "--rounds", "1", "--queries", "2")
    (found,) = report["models"].values()

    assert report["documents"] == len((run.folder / "slice" / "corpus.jsonl").read_text().splitlines())
    assert min(found[name]["median"] for name in ("documents/s", "passages/s", "MB", "encode ms", "search ms")) > 0


def test_backfill_estimate(run: Bench, elasticsearch: ClusterSettings) -> None:
    report = run("backfill_estimate", "slice", "--cluster", elasticsearch.url)
    figures = report["figures"]

    assert report["ok"]
    assert figures["passages"]["was"] == report["documents"]
    assert 0.5 < figures["passages"]["reckoned"] / figures["passages"]["was"] < 2
    assert min(figures[name][which] for name in figures for which in ("reckoned", "was")) > 0


@pytest.mark.live
def test_backfill_whole(run: Bench, elasticsearch: ClusterSettings) -> None:
    small = ("--documents", "12", "--kills", "1", "--writers", "1", "--pause", "0.3", "--soon", "0.5")
    report = run("backfill_whole", "slice", "--cluster", elasticsearch.url, *small)

    assert report["ok"], report["faults"]
    assert report["changes of the encoder"] == 1
    assert report["kills"]["all"] >= 1
    assert report["writes"]["all"] > 0
    assert min(report["searches"][f"with {encoder}"] for encoder in ("words-8", "words-12")) > 0
    assert report["last look"]["found"] == report["documents"]["at last"]


def test_trials(run_torch: Bench) -> None:
    report = run_torch("trials", "--held", "slice", "--learn", "slice", "--cluster", "embedded:store")

    assert report["learned_from"] == ["slice"]
    assert {"fused", "untrained", "layer 5", "linear map"} <= report["held"]["slice"].keys()
    assert 0 < report["held"]["slice"]["untrained"]["nDCG@10"] <= 1


def test_training_data(run: Bench) -> None:
    joined = run("training_data", "join", "joined", "slice=3")
    ingested = run.launcher.run("ingest", "joined", "--cluster", "embedded:store", "--index", "joined", cwd=run.folder)
    places = ("joined", "scores.jsonl", "--index", "joined", "--cluster", "embedded:store", "--backend", "exact")
    taught = run("training_data", "teach", *places)

    assert ingested.code == 0, ingested.stderr
    assert joined["queries"] == taught["queries"] == 3
    assert joined["documents"] == len((run.folder / "slice" / "corpus.jsonl").read_text().splitlines())
    assert taught["scores"] == len((run.folder / "scores.jsonl").read_text().splitlines()) > 0


def test_load(run: Bench) -> None:
    # a deadline that a machine with other work keeps: what is looked at is the bench, not the machine
    small = ("--at-once", "1", "3", "--seconds", "0.1", "--alone", "0.05", "--applications", "2", "--deadline", "120")
    few = ("--set", "search.k=2", "--set", "search.rerank={window: 3}")
    report = run("load", "slice", "--cluster", "embedded:store", *small, *few)

    assert [level["at_once"] for level in report["levels"]] == [1, 3]
    for level in report["levels"]:
        assert level["unreranked"] == 0, level["degraded"]
        assert 2 <= level["window"] <= 3
        assert level["nDCG@10"] > 0.3
        assert level["searches"] == level["in_time"] >= level["at_once"]
    assert min(report["alone_tokens_per_s"]) > 0

    (level,) = run("load", "--simulate", "100", "--at-once", "8")["levels"]
    assert level["reranked_share"] == 1
    assert level["of_best"] >= 0.95


def test_rerankers(run_torch: Bench) -> None:
    report = run_torch("rerankers", "--shapes", "TinyBERT-L2", "--backends", "torch", "--pairs", "2", "--rounds", "1")

    assert report["pairs_per_s"]["TinyBERT-L2"]["torch"] > 0
    assert report["failed"] == {}

    model = "all-MiniLM-L6-v2"
    report = run_torch("rerankers", "--late-interaction", model, "--backends", "onnx", "--pairs", "2", "--rounds", "1")
    assert report["pairs_per_s"][model]["onnx"] > 0
    assert report["failed"] == {}


def test_gemm(run_torch: Bench) -> None:
    report = run_torch("gemm", "--tokens", "64", "--rounds", "1")

    assert report["gemm_gflop_per_s"].keys() >= {"fp32", "int8"}
    assert all(value > 0 for value in report["gemm_gflop_per_s"].values())


def test_start(run: Bench) -> None:
    report = run("start", "--rounds", "1", "--documents", "1", "--commands", "help", "fused")

    assert report["commands"].keys() == {"help", "fused"}
    assert all(took["here"]["least_cpu_s"] > 0 for took in report["commands"].values())


def test_follow(run: Bench) -> None:
    report = run("follow", "--sources", "folder", "--changes", "2", "--burst", "4")

    assert 0 < report["sources"]["folder"]["median_s"] <= report["sources"]["folder"]["most_s"]
    assert report["sources"]["folder"]["burst_s"] > 0


def test_flood(run: Bench, elasticsearch: ClusterSettings) -> None:
    """Beside an application, on an engine that has room for both."""
    small = ("--jobs", "backfill", "--documents", "30", "--calm", "0.2", "--flood", "0.3", "--threads", "1")
    report = run("flood", "--cluster", elasticsearch.url, *small)
    done = report["engines"][elasticsearch.url]["jobs"]["backfill"]

    assert (done["there"], done["written"], done["failed"], done["stopped"]) == (30, 30, 0, None)


def test_worker_profile(run_torch: Bench) -> None:
    small = ("--backends", "onnx", "openvino", "--pairs", "2", "--rounds", "1")
    report = run_torch("worker_profile", *small)

    for found in report["backends"].values():
        assert sum(found["shares"].values()) == pytest.approx(1, abs=0.01)
        assert min(found["shares"][part] for part in ("tokenizing", "products", "attention", "norms")) > 0


def test_worker(run_torch: Bench) -> None:
    made = run_torch.launcher.start("tiny", cwd=run_torch.folder, program=Path(tiny_models.__file__)).wait()
    assert made.code == 0, made.stderr
    small = ("--model", "tiny", "--backends", "onnx", "--pairs", "2", "--clients", "1", "2")
    short = ("--rounds", "1", "--seconds", "0.1", "--overload", "0.3", "--sustain", "0.3")
    report = run_torch("worker", *small, *short, "--plot", "plot.svg")
    drawn = ET.parse(run_torch.folder / "plot.svg").getroot()
    words = {part.text for part in drawn.iter("{http://www.w3.org/2000/svg}text")}
    ours, theirs = (report["servers"][name] for name in ("ours, onnx", "sentence-transformers in a web app"))

    assert ours["top_10_in_common"] == theirs["top_10_in_common"] == 1.0
    assert min(server[f"{count}_clients"]["pairs_per_s"] for server in (ours, theirs) for count in (1, 2)) > 0
    assert report["overload"]["other"] == 0
    assert report["sustained"]["requests"] > 0
    assert report["peak"]["share"]["ours, onnx"]["1_clients"] > 0
    assert "infinity: no --infinity COMMAND was given" in report["left_out"]
    assert {*report["servers"], "1 client", "2 clients"} < words
    assert f"{ours['2_clients']['pairs_per_s']:.0f}" in words


@pytest.mark.live
async def test_path(run: Bench, elasticsearch: ClusterSettings) -> None:
    """In turns with another checkout, here this one again: each as a program of its own."""
    index = unique_name()
    small = ("--index", index, "--data", "slice", "--rounds", "1")
    given = (*small, "--before", str(ROOT), "--vectors", "elasticsearch=int8_hnsw")
    try:
        report = run("path", "--cluster", elasticsearch.url, *given)
    finally:
        await drop(elasticsearch, index)

    assert report["p50"].keys() == {"cluster", f"cluster, {ROOT}"}
    for found in report["p50"].values():
        assert found["search_ms"] > 0
        assert found.keys() >= {"lexical_ms", "dense_ms", "both_requests_ms", "over_slower_leg_ms"}


@pytest.mark.live
def test_gateway(run: Bench, elasticsearch: ClusterSettings) -> None:
    if shutil.which("wrk") is None:
        skip_or_fail("there is no wrk (Debian: apt-get install wrk)")
    few = ("--documents", "50", "--bulk-mb", "0.1", "--connections", "2", "--pause-ms", "20")
    short = ("--seconds", "1", "--rounds", "1")
    reranked = ("--reranked", "1", "--data", "slice", "--minutes", "0.01", "--traffic", "msearch")
    report = run("gateway", "--cluster", elasticsearch.url, "--index", unique_name(), *few, *short, *reranked)

    assert report["requests"].keys() == {"get, 2", "search, 2"}
    assert all(
        value > 0 for found in report["requests"].values() for name, value in found.items() if name != "added_ms"
    )
    assert report["bulk"]["mb"] == 0.1
    assert len(report["memory"]["mb"]) == 2
    assert report["memory"]["second_half"]["grown_kb_by_kind"].keys() == {"msearch"}
    assert report["reranked"]["searches"] > 0
    assert report["reranked"]["ratio"] > 0


def test_size(run: Bench) -> None:
    report = run("size")
    page = (ROOT / "docs" / "measurements" / "size.md").read_text(encoding="utf-8")
    rows = [
        f"| `{name}` | {row['disk_gb']} | {row['memory_gb']} |"
        for found in report["choices"].values()
        for name, row in found.items()
    ]

    assert report["work"]["encoder_cpu_days"] > 0
    assert [row for row in rows if row not in page] == []


async def test_ray(run: Bench, elasticsearch: ClusterSettings) -> None:
    """Without a cluster of Ray, whose processes take long to start: tests/live/test_ray.py has one."""
    small = ("--documents", "4", "--encoders")
    report = run("on_ray", "--cluster", elasticsearch.url, "--index", unique_name(), *small)

    assert report["jobs"]["one process"]["documents_per_s"] > 0


async def test_reliability(run: Bench, elasticsearch: ClusterSettings) -> None:
    index = unique_name()
    soon = ("--kills", "1", "--seed", "15")  # by which the first kill comes a moment after the job began to work
    small = (*soon, "--rows", "10", "--minutes", "0.01", "--data", "slice")
    try:
        # 1: a search that was late, which a busy machine makes of so short a time
        report = run("reliability", "--cluster", elasticsearch.url, "--index", index, *small, codes=(0, 1))
    finally:
        for part in ("ingest", "searches"):
            await drop(elasticsearch, f"{index}-{part}")
    (found,) = report["ingest"].values()

    assert found["kills"] == 1
    assert found["completed"] >= 1
    assert found["lost"] == found["doubled"] == found["wrong"] == 0
    assert report["search"]["queries"] > 0
    assert sum(report["search"]["worker_kills"].values()) >= 1
