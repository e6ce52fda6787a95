"""The page of the gateway's own HTTP API, made from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator

from openapi_page import build_openapi_page

from connector.gateway.api.app import create_api
from connector.gateway.api.metrics import ApiMetrics
from connector.gateway.outcomes import Outcomes
from connector.settings.sections import Settings

HEADER = """\
# HTTP API of the gateway

This page is made from the code: it is `/v1/openapi.json` of `connector gateway`, in words. The gateway itself shows it
at `/v1/docs`. [Search over HTTP](../how-to/http-api.md) says how the API is served, who may ask, and what becomes of
events. Problems are sent as `application/problem+json` (RFC 9457).

"""
NUMBERS = """\
## Numbers

What `GET /metrics` counts:

| name | kind | |
|---|---|---|"""


def build_gateway_page() -> str:
    """The API as it is with the default settings, and what it counts."""
    return "\n".join([build_openapi_page(HEADER, create_api(Settings()).openapi()), NUMBERS, *_numbers()])


def _numbers() -> Iterator[str]:
    for family in ApiMetrics(Outcomes()).registry.collect():
        total = "_total" if family.type == "counter" else ""
        yield f"| `{family.name}{total}` | {family.type} | {family.documentation} |"
