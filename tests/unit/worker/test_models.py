"""Several models in one worker: found by name, loaded at their first use, forgotten when others need their memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.parts import OverlapScorer, serving, wait_until

from connector.errors import ModelError, SettingsError
from connector.models.scorer import Scorer
from connector.settings.load import load_settings
from connector.settings.sections import ModelSettings, WorkerSettings
from connector.worker.app import create_app
from connector.worker.models import Models, NotLoaded, OfferedModel, UnknownModel
from connector.worker.offered import offer_models

BODY = {"query": "red fish", "texts": ["red", "fish red"]}


class Named(OverlapScorer):
    """A scorer that says in its scores which one it is."""

    def __init__(self, name: str, worth: float) -> None:
        super().__init__()
        self.name, self.fingerprint, self.worth = name, name, worth

    def run(self, pieces: Any) -> None:
        for piece in pieces:
            piece.result = self.worth


def offered(name: str, worth: float = 1.0, *, size: int = 10, load: Callable[[], Scorer] | None = None) -> OfferedModel:
    return OfferedModel("rerank", name, load or (lambda: Named(name, worth)), lambda: size)


@contextmanager
def worker(*more: OfferedModel, **settings: Any) -> Iterator[str]:
    with serving(create_app(lambda: Named("first", 1.0), WorkerSettings(**settings), more)) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        yield url


def scores(url: str, **more: Any) -> list[float]:
    reply = httpx.post(f"{url}/rerank", json=BODY | {"raw_scores": True} | more)
    assert reply.status_code == 200, reply.text
    return [result["score"] for result in reply.json()]


def loaded(models: Models) -> list[str]:
    return [model.name for model, is_loaded in models.list() if is_loaded]


def test_a_request_names_its_model() -> None:
    with worker(offered("second", 2.0), offered("third", 3.0)) as url:
        found = [
            scores(url),
            scores(url, model="second"),
            scores(url, model="owner/third"),
            scores(url, model="second"),
        ]
        reply = httpx.post(f"{url}/v2/rerank", json={"query": "q", "documents": ["d"], "model": "third"})
        info = httpx.get(f"{url}/info", params={"model": "second"}).json()

    assert found == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [2.0, 2.0]]
    assert (reply.json()["model"], reply.headers["x-reranker-fingerprint"]) == ("third", "third")
    assert info["model_id"] == "second"


def test_scores_of_one_model_are_not_remembered_for_another() -> None:
    with worker(offered("second", 2.0), score_cache_bytes=100_000) as url:
        assert [scores(url, model=name)[0] for name in ("all-MiniLM-L6-v2", "second") * 2] == [1.0, 2.0, 1.0, 2.0]


def test_a_name_that_no_model_has_is_refused_with_those_there_are() -> None:
    with worker(offered("second")) as url:
        reply = httpx.post(f"{url}/v2/rerank", json={"query": "q", "documents": ["d"], "model": "rerank-v3.5"})

    assert reply.status_code == 404
    assert "'rerank-v3.5'" in reply.json()["message"]
    assert "second" in reply.json()["message"]


def test_a_model_alone_serves_every_name() -> None:
    with worker() as url:
        assert scores(url, model="rerank-v3.5") == [1.0, 1.0]


def test_a_model_that_cannot_be_loaded_is_told_of_and_harms_no_other() -> None:
    attempts = []

    def load() -> Scorer:
        attempts.append(1)
        if len(attempts) == 1:
            raise ModelError("the hub is away")
        return Named("second", 2.0)

    with worker(offered("second", load=load)) as url:
        failed = httpx.post(f"{url}/rerank", json=BODY | {"model": "second"})
        others = scores(url)
        later = scores(url, model="second")

    assert failed.status_code == 503
    assert "'second' could not be loaded: the hub is away" in failed.json()["error"]
    assert (others, later) == ([1.0, 1.0], [2.0, 2.0])


def test_a_request_waits_no_longer_than_its_budget_for_a_model_and_it_is_loaded_once() -> None:
    gate, loads = threading.Event(), []

    def load() -> Scorer:
        loads.append(1)
        assert gate.wait(120)
        return Named("second", 2.0)

    with worker(offered("second", load=load)) as url, ThreadPoolExecutor(4) as callers:
        late = httpx.post(f"{url}/rerank", json=BODY | {"model": "second"}, headers={"x-budget-ms": "100"})
        waiting = [callers.submit(scores, url, model="second") for _ in range(4)]
        gate.set()
        found = [outcome.result() for outcome in waiting]

    assert (late.status_code, late.headers["retry-after"]) == (503, "2")
    assert found == [[2.0, 2.0]] * 4
    assert len(loads) == 1


async def test_the_least_recently_used_goes_and_the_first_stays() -> None:
    models = Models([offered("first"), offered("b"), offered("c"), offered("d")], max_bytes=30)
    await models.start()
    seen = []
    for name in ("b", "c", "b", "d", "first", "c"):
        await models.scorer(name, timeout_s=120)
        seen.append(loaded(models))

    assert seen == [
        ["first", "b"],
        ["first", "b", "c"],
        ["first", "b", "c"],
        ["first", "b", "d"],
        ["first", "b", "d"],
        ["first", "c", "d"],
    ]
    assert models.bytes() == 30


async def test_a_model_that_never_fits_is_refused_and_nothing_is_forgotten_for_it() -> None:
    models = Models([offered("first"), offered("b"), offered("large", size=25)], max_bytes=30)
    await models.start()
    await models.scorer("b", timeout_s=120)

    with pytest.raises(NotLoaded, match=r"raise worker\.max_models_bytes"):
        await models.scorer("large", timeout_s=120)
    assert loaded(models) == ["first", "b"]


async def test_without_an_encoder_nothing_is_encoded() -> None:
    models = Models([offered("first")], max_bytes=30)
    await models.start()

    with pytest.raises(UnknownModel, match="no model to embed with"):
        await models.encoder(None, timeout_s=1)


def test_the_settings_offer_their_models(tiny_cross_encoder_folder: Path, tiny_encoder_folder: Path) -> None:
    settings = WorkerSettings(
        encoder=str(tiny_encoder_folder),
        device="cpu",
        models={"small": ModelSettings(model=str(tiny_cross_encoder_folder), device="cpu")},
        max_batch_tokens=77,
    )
    small, encoder = offer_models(settings)
    model = small.load()

    assert [(offered.task, offered.name) for offered in (small, encoder)] == [
        ("rerank", "small"),
        ("embed", "tiny-encoder"),
    ]
    assert (model.kind, model.max_batch_tokens, encoder.load().kind) == ("cross-encoder", 77, "encoder")
    assert small.count_bytes() == (tiny_cross_encoder_folder / "model.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"worker.kind": "encoder"}, "kind encoder ranks nothing"),
        ({"worker.models": {"e": {"kind": "encoder", "backend": "onnx-int8"}}}, "other vectors than the index's"),
        ({"worker.models": {"e": {"modell": "x"}}}, r"worker\.models\.e\.modell"),
    ],
)
def test_models_that_make_no_sense_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(overrides=given, environ={})


def test_a_load_that_outlives_the_worker_is_no_error() -> None:
    async def run() -> None:
        models = Models(
            [offered("first"), offered("slow", load=lambda: gate.wait(120) and Named("slow", 1.0))], max_bytes=99
        )
        await models.start()
        with pytest.raises(NotLoaded, match="still loading"):
            await models.scorer("slow", timeout_s=0.05)
        models.close()
        gate.set()

    gate = threading.Event()
    asyncio.run(run())
