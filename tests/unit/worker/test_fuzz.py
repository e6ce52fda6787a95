"""Any request, whether the worker's OpenAPI document allows it or not: no path answers what it does not announce."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gateway.documented import assert_documented
from support.parts import OverlapScorer, serving, wait_until
from support.runs.effort import tries

from connector.models.encoder import LocalEncoder
from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app
from connector.worker.models import OfferedModel

PATHS = ["/rerank", "/v1/rerank", "/v2/rerank", "/score", "/embed", "/v1/embeddings"]
KEYS = [
    "query",
    "texts",
    "documents",
    "text_1",
    "text_2",
    "top_n",
    "top_k",
    "rank_fields",
    "return_documents",
    "text",
    "inputs",
    "input",
    "dimensions",
]
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 10**30)
    | st.floats()
    | st.text(st.characters(exclude_categories=[]), max_size=8),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(KEYS), values, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def app() -> FastAPI:
    encoder = OfferedModel("embed", "encoder", lambda: LocalEncoder("all-MiniLM-L6-v2", backend="onnx"))
    return create_app(OverlapScorer, WorkerSettings(max_pairs=20), [encoder])


@pytest.fixture(scope="module")
def url(app: FastAPI) -> Iterator[str]:
    with serving(app) as served:
        wait_until(lambda: httpx.get(f"{served}/ready").status_code == 200)
        load = {"inputs": "load the encoder"}  # 503 where a busy machine takes long for it
        wait_until(lambda: httpx.post(f"{served}/embed", json=load, timeout=120).status_code == 200, timeout_s=240)
        yield served


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"content-type": "application/json"}) as http:
        yield http


@pytest.mark.timeout(900)
def test_a_request_gets_only_what_the_document_announces(app: FastAPI, url: str, tmp_path: Path) -> None:
    assert_documented(url, app.openapi(), tmp_path, examples=tries(10))


@pytest.mark.parametrize("path", PATHS)
@given(body=st.dictionaries(st.sampled_from(KEYS), ANY) | ANY)
@settings(max_examples=tries(10))
def test_any_json_is_answered_or_refused(client: httpx.Client, path: str, body: Any) -> None:
    reply = client.post(path, content=json.dumps(body))

    assert reply.status_code in (200, 400, 422), reply.text


@pytest.mark.parametrize("path", PATHS)
@given(body=st.binary(max_size=40))
def test_any_bytes_are_refused(client: httpx.Client, path: str, body: bytes) -> None:
    assert client.post(path, content=body).status_code in (400, 422)
