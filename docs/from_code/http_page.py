"""The page of the worker's HTTP API, made from its OpenAPI document."""

from __future__ import annotations

from typing import Any

from openapi_page import build_openapi_page

from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app

HEADER = """\
# HTTP API of the worker

This page is made from the code: it is the worker's own `/openapi.json`, in words.
[The dialects](worker-api.md) says whose client may call which path, which headers there are, and who is served when.

"""


def build_http_page() -> str:
    """The API of a worker with the default settings."""
    return build_openapi_page(HEADER, create_app(_never, WorkerSettings()).openapi())


def _never() -> Any:
    raise AssertionError("the document needs no model")
