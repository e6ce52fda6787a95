"""The connector's own encoders keep what every encoder promises: the one in this process here, a worker's beside its
tests (tests/unit/remote)."""

from __future__ import annotations

import pytest

from connector.contract.encoders import EncoderContract
from connector.settings.sections import Settings


class TestDefaultEncoder(EncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls) -> Settings:
        return Settings()
