"""Any request to the API, whether its OpenAPI document allows it or not: no fault of ours, and no reply that is not
announced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gateway.documented import ANSWERED, assert_documented
from support.gateway.gateway_api import api_settings, fill, running_api
from support.runs.effort import tries

from connector.gateway.api.app import create_api
from connector.gateway.api.searching import SearchJson

ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 10**30) | st.floats() | st.text(max_size=8),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)


OPTIONS = {name: ANY for name in SearchJson.model_fields if name != "query"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("store")
    fill(folder)
    with running_api(api_settings(f"embedded:{folder}", gateway={"events_file": str(folder / "ubi")})) as client:
        yield client


@pytest.mark.timeout(900)
def test_a_request_gets_only_what_the_document_announces(api: httpx.Client, tmp_path: Path) -> None:
    document = create_api(api_settings("embedded:none")).openapi()
    assert_documented(str(api.base_url), document, tmp_path, examples=tries(6), expected=(*ANSWERED, "503"))


@given(body=st.fixed_dictionaries({"query": st.just("red")}, optional=OPTIONS))
@settings(max_examples=tries(20))
def test_any_options_are_answered_or_refused(api: httpx.Client, body: dict[str, Any]) -> None:
    reply = api.post("/v1/search", content=json.dumps(body), headers={"content-type": "application/json"})

    assert reply.status_code in (200, 400, 404, 422, 503), reply.text
