"""What the gateway remembers of searches keeps to its bounds."""

from __future__ import annotations

import tracemalloc

from connector.gateway.encoder import SharedEncoder
from connector.gateway.ordering.site import Sites
from connector.settings.sections import Settings


def test_names_that_callers_make_up_are_not_all_remembered() -> None:
    settings = Settings.model_validate({"gateway": {"indexes": {"shop": {}}}})
    sites = Sites(settings, SharedEncoder(settings))
    tracemalloc.start()
    try:
        for number in range(1_500):
            assert sites.find(f"a{number}") is None
            assert sites.find(f"{number}" + "x" * 10_000) is None
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 1_000_000
