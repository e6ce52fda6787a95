"""What GET /metrics tells Prometheus, read with Prometheus' own parser."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from support.parts import OverlapScorer, serving, wait_until

from connector.models.late_interaction import LateInteractionScorer
from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app


def read(url: str) -> dict[str, float]:
    """Every sample by its name and labels, without the common prefix."""
    reply = httpx.get(f"{url}/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(reply.text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[sample.name.removeprefix("connector_worker_") + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


def test_requests_pairs_stages_and_batches_are_counted() -> None:
    with serving(create_app(OverlapScorer, WorkerSettings())) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        before = read(url)
        for _ in range(2):
            httpx.post(f"{url}/rerank", json={"query": "red", "texts": ["red", "blue", "red"]})
        httpx.post(f"{url}/v1/rerank", json={"query": "red"})
        httpx.get(f"{url}/nowhere/to/be/found")
        after = read(url)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown("requests_total{path=/rerank,status=200}") == 2
    assert grown("requests_total{path=/v1/rerank,status=422}") == 1
    assert grown("requests_total{path=other,status=404}") == 1
    assert grown("request_seconds_count{path=/rerank}") == 2
    assert (grown("pairs_total{source=model}"), grown("pairs_total{source=cache}")) == (2, 2)
    assert grown("tokens_total") == 2
    assert (grown("batch_inputs_count"), grown("batch_inputs_sum")) == (2, 2)
    assert grown("batch_fill_ratio_sum") == 2
    assert (grown("stage_seconds_count{stage=queue}"), grown("stage_seconds_count{stage=tokenize}")) == (1, 1)
    assert grown("stage_seconds_count{stage=model}") == 2
    assert after["score_cache_entries"] == 2
    assert after["waiting"] == after["queue_age_seconds"] == 0
    assert after["tokens_per_second"] > 0


def test_what_waits_and_what_came_too_late_is_counted() -> None:
    gate = threading.Event()
    scorer = OverlapScorer()
    with serving(create_app(lambda: scorer, WorkerSettings(max_waiting=1))) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        scorer.before_batch = lambda: gate.wait(120)
        body = {"query": "red", "texts": ["red", "blue", "green"]}
        waiting = threading.Thread(target=lambda: httpx.post(f"{url}/rerank", json={"query": "red", "texts": ["rose"]}))
        waiting.start()
        wait_until(lambda: read(url)["waiting"] == 1)
        refused = httpx.post(f"{url}/rerank", json=body)
        gate.set()
        waiting.join()
        gate.clear()
        httpx.post(f"{url}/rerank", json=body, headers={"x-budget-ms": "200"})
        gate.set()
        after = read(url)

    assert refused.status_code == 429
    assert after["requests_total{path=/rerank,status=429}"] == 1
    assert after["unscored_total"] == 3


def test_the_token_cache_tells_how_often_it_served(tiny_encoder_folder: Path) -> None:
    scorer = LateInteractionScorer(str(tiny_encoder_folder), device="cpu", cache_bytes=1_000_000)
    with serving(create_app(lambda: scorer, WorkerSettings(score_cache_bytes=0))) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        before = read(url)
        for _ in range(3):
            httpx.post(f"{url}/rerank", json={"query": "red", "texts": ["red fish", "blue bird"]})
        after = read(url)

    assert after["token_cache_hits_total"] - before["token_cache_hits_total"] == 4
    assert after["token_cache_misses_total"] - before["token_cache_misses_total"] == 2
    assert after["token_cache_bytes"] > before["token_cache_bytes"]
