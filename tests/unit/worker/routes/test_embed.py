"""Embeddings in each dialect, and the query layer's encoder that has them made by a worker."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.parts import OverlapScorer, serving, wait_until

from connector.errors import ModelError, WorkerError, WorkerUnavailable
from connector.models.encoder import LocalEncoder
from connector.remote.encoder import RemoteEncoder
from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app
from connector.worker.models import OfferedModel

TEXTS = ["Tier-2 partners keep a deal.", "", "The cat sat. " * 40, "red fish", "red fish"]


@pytest.fixture(scope="module")
def prompted_folder(tiny_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder that wants a word before queries and another before passages."""
    from sentence_transformers import SentenceTransformer

    folder = tmp_path_factory.mktemp("prompted") / "prompted"
    model = SentenceTransformer(str(tiny_encoder_folder), device="cpu")
    model.prompts = {"query": "query: ", "document": "passage: "}
    model.save(str(folder))
    return folder


@pytest.fixture(scope="module")
def encoder(prompted_folder: Path) -> LocalEncoder:
    return LocalEncoder(str(prompted_folder), device="cpu")


@pytest.fixture(scope="module")
def url(encoder: LocalEncoder) -> Iterator[str]:
    models = [OfferedModel("embed", "prompted", lambda: encoder)]
    with serving(create_app(OverlapScorer, WorkerSettings(max_pairs=20), models)) as served:
        wait_until(lambda: httpx.get(f"{served}/ready").status_code == 200)
        yield served


def embed(url: str, path: str, texts: Any, **more: Any) -> httpx.Response:
    return httpx.post(url + path, json={"inputs" if path == "/embed" else "input": texts} | more)


def vectors(reply: httpx.Response) -> list[list[float]]:
    assert reply.status_code == 200, reply.text
    body = reply.json()
    return body if isinstance(body, list) else [item["embedding"] for item in body["data"]]


@pytest.mark.parametrize("path", ["/embed", "/v1/embeddings"])
def test_vectors_are_the_encoders(url: str, path: str, encoder: LocalEncoder) -> None:
    assert np.array(vectors(embed(url, path, TEXTS))) == pytest.approx(encoder.encode(TEXTS), abs=1e-5)


def test_a_query_is_encoded_as_one(url: str, encoder: LocalEncoder) -> None:
    as_query, as_passage = encoder.encode_query("red fish"), encoder.encode(["red fish"])[0]
    found = [
        vectors(embed(url, "/embed", "red fish", prompt_name="query"))[0],
        vectors(embed(url, "/v1/embeddings", "red fish", input_type="query"))[0],
    ]

    assert abs(as_query - as_passage).max() > 0.01
    assert np.array(found) == pytest.approx(np.array([as_query, as_query]), abs=1e-5)


def test_openai_gets_exactly_its_reply(url: str) -> None:
    body = embed(url, "/v1/embeddings", ["red", "fish"], model="text-embedding-3-small", user="u").json()

    assert set(body) == {"object", "data", "model", "usage"}
    assert [{**item, "embedding": None} for item in body["data"]] == [
        {"object": "embedding", "index": at, "embedding": None} for at in range(2)
    ]
    assert (body["object"], body["model"], body["usage"]) == (
        "list",
        "prompted",
        {"prompt_tokens": 6, "total_tokens": 6},
    )


def test_base64_holds_the_same_floats(url: str) -> None:
    numbers = vectors(embed(url, "/v1/embeddings", ["red"]))[0]
    text = vectors(embed(url, "/v1/embeddings", ["red"], encoding_format="base64"))[0]

    assert np.frombuffer(base64.b64decode(text), dtype="<f4") == pytest.approx(np.array(numbers), abs=1e-7)


def test_fewer_dimensions_are_a_unit_vector_again(url: str) -> None:
    whole = np.array(vectors(embed(url, "/v1/embeddings", "red"))[0])
    short = np.array(vectors(embed(url, "/v1/embeddings", "red", dimensions=8))[0])
    refused = embed(url, "/v1/embeddings", "red", dimensions=33)

    assert short == pytest.approx(whole[:8] / np.linalg.norm(whole[:8]), abs=1e-6)
    assert refused.status_code == 422
    assert "the model has 32" in refused.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/embed", "/v1/embeddings"])
@pytest.mark.parametrize(
    ("texts", "more", "status"),
    [([], {}, 400), (["x"] * 21, {}, 422), ([[1, 2]], {}, 422), (None, {}, 422), ("x", {"dimensions": 0}, 422)],
)
def test_what_cannot_be_encoded_is_refused(url: str, path: str, texts: Any, more: dict[str, Any], status: int) -> None:
    assert embed(url, path, texts, **more).status_code == status


def test_what_cannot_be_had_in_time_is_refused_with_when_to_come_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = LocalEncoder.plan

    def plan_late(*given: Any, **options: Any) -> Any:
        time.sleep(0.2)
        return at_once(*given, **options)

    monkeypatch.setattr(LocalEncoder, "plan", plan_late)
    reply = httpx.post(f"{url}/embed", json={"inputs": ["x"]}, headers={"x-budget-ms": "0"})

    assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")


def test_a_remote_encoder_is_the_same_encoder(url: str, encoder: LocalEncoder) -> None:
    remote = RemoteEncoder(url, "prompted")

    assert remote.fingerprint == encoder.fingerprint
    assert remote.encode(TEXTS) == pytest.approx(encoder.encode(TEXTS), abs=1e-5)
    assert remote.encode([]).shape == (0, 32)
    assert remote.encode_query("red fish") == pytest.approx(encoder.encode_query("red fish"), abs=1e-5)
    assert remote.token_offsets(TEXTS) == encoder.token_offsets(TEXTS)


def test_more_texts_than_a_request_takes_go_in_several(url: str, encoder: LocalEncoder) -> None:
    texts = [f"red {at}" for at in range(30)]
    remote = RemoteEncoder(url, "prompted", max_texts=20)

    assert remote.encode(texts) == pytest.approx(encoder.encode(texts), abs=1e-5)


def test_it_loads_no_torch(url: str) -> None:
    code = (
        "import sys; from connector.settings.load import load_settings; from connector.wiring import load_encoder;"
        f"settings = load_settings(overrides={{'encoder.url': {url!r}, 'encoder.model': 'prompted'}}, environ={{}});"
        "vector = load_encoder(settings).encode_query('red');"
        "print(vector.shape, [name for name in ('torch', 'transformers', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)

    assert done.stdout.strip() == "(32,) []", done.stderr


def answers(*replies: httpx.Response) -> httpx.MockTransport:
    left = list(replies)
    return httpx.MockTransport(lambda request: left.pop(0))


def described(encoder: LocalEncoder) -> httpx.Response:
    fingerprint = {"name": "p", "sha256": "0", "dims": 2, "max_tokens": 9, "normalised": True}
    return httpx.Response(200, json={"fingerprint": fingerprint, "tokenizer": encoder.tokenizer_json()})


def embedding(*values: float, index: int = 0) -> dict[str, Any]:
    return {"index": index, "embedding": base64.b64encode(np.array(values, dtype="<f4").tobytes()).decode()}


def test_passages_are_tried_again_where_that_can_help(encoder: LocalEncoder) -> None:
    busy = httpx.Response(429, json={"error": "busy"})
    good = httpx.Response(200, json={"data": [embedding(1.0, 0.0)]})
    transport = answers(described(encoder), busy, busy, good, busy, busy, busy)
    remote = RemoteEncoder("http://w", "p", attempts=3, backoff_s=0.001, transport=transport)

    assert remote.encode(["x"]).tolist() == [[1.0, 0.0]]
    with pytest.raises(WorkerUnavailable, match="refused \\(HTTP 429\\): busy"):
        remote.encode(["x"])


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": "x"},
        {},
        [],
        {"data": [embedding(1.0)]},
        {"data": [embedding(1.0, float("nan"))]},
        {"data": [embedding(1.0, 0.0, index=1)]},
        {"data": [{"index": 0, "embedding": "***"}]},
        {"data": [{"index": 0, "embedding": [1.0, 0.0]}]},
        {"data": ["x"]},
    ],
)
def test_a_reply_that_cannot_be_right_is_not_believed(encoder: LocalEncoder, body: Any) -> None:
    remote = RemoteEncoder("http://w", "p", transport=answers(described(encoder), httpx.Response(200, json=body)))

    with pytest.raises(WorkerError, match="the worker at http://w gave"):
        remote.encode_query("x")


@pytest.mark.parametrize("body", [{}, [], {"fingerprint": {"name": "x"}, "tokenizer": "{}"}])
def test_what_is_no_worker_is_told_of(body: Any) -> None:
    with pytest.raises(WorkerError, match="is a connector worker running there"):
        RemoteEncoder("http://w", "p", transport=answers(httpx.Response(200, json=body)))


def test_a_worker_without_the_encoder_is_told_of(url: str) -> None:
    models = [OfferedModel("embed", name, lambda: pytest.fail("loaded")) for name in ("a", "b")]
    with serving(create_app(OverlapScorer, WorkerSettings(), models)) as served:
        wait_until(lambda: httpx.get(f"{served}/ready").status_code == 200)
        with pytest.raises(WorkerError, match=r"no model 'c' to embed with, but a, b; add it in worker\.models"):
            RemoteEncoder(served, "c")


def test_an_encoder_that_cannot_be_loaded_is_told_of() -> None:
    def load() -> LocalEncoder:
        raise ModelError("no such folder")

    with serving(create_app(OverlapScorer, WorkerSettings(), [OfferedModel("embed", "e", load)])) as served:
        wait_until(lambda: httpx.get(f"{served}/ready").status_code == 200)
        with pytest.raises(WorkerUnavailable, match="no such folder"):
            RemoteEncoder(served, "e", attempts=1)
