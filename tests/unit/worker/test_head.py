"""HEAD is answered as GET is, without a body."""

from __future__ import annotations

import httpx
import pytest
from support.worker.worker_app import TEI


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/info", "/v1/models", "/encoder?model=none", "/openapi.json", "/nowhere", TEI]
)
def test_head_is_answered_as_get_is_without_a_body(url: str, path: str) -> None:
    with httpx.Client(base_url=url) as client:
        whole, head = client.get(path), client.head(path)
        again = client.get("/health")  # the connection is still good

    assert head.status_code == whole.status_code
    assert head.content == b""
    changing = {"date", "x-request-id"}
    assert {name: value for name, value in head.headers.items() if name not in changing} == {
        name: value for name, value in whole.headers.items() if name not in changing
    }
    assert again.status_code == 200


def test_metrics_have_a_head_and_count_it(url: str) -> None:
    assert httpx.head(f"{url}/metrics").status_code == 200


def test_a_route_for_reading_names_both_methods(url: str) -> None:
    reply = httpx.post(f"{url}/health")

    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")
