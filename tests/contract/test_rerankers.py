"""A worker's client keeps what every reranker promises."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from support.parts import OverlapScorer, serving, wait_until

from connector.contract.rerankers import RerankerContract
from connector.settings.sections import Settings, WorkerSettings
from connector.worker.app import create_app


class TestWorkerClient(RerankerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls) -> Iterator[Settings]:
        with serving(create_app(OverlapScorer, WorkerSettings())) as url:
            wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
            yield Settings.model_validate({"rerankers": {"local": {"url": url}}})
