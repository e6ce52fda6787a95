"""Names, lists and patterns of indices: which indices stand behind them."""

from __future__ import annotations

from typing import Any

import pytest

from connector.gateway.ordering.index_names import read_index_names

REPLY: dict[str, Any] = {
    "indices": [
        {"name": "shop", "aliases": ["sale"], "attributes": ["open"]},
        {"name": "shop-old", "attributes": ["closed"]},
        {"name": "shop-hidden", "attributes": ["hidden", "open"]},
        {"name": "other", "attributes": ["open"]},
        {"name": ".ds-logs-1", "attributes": ["hidden", "open"]},
    ],
    "aliases": [
        {"name": "sale", "indices": ["shop"]},
        {"name": "both", "indices": ["shop", "other"]},
        {"name": "alone", "indices": "other"},
        {"name": "streamed", "indices": ["logs"]},
    ],
    "data_streams": [{"name": "logs", "backing_indices": [".ds-logs-1"], "timestamp_field": "@timestamp"}],
}


@pytest.mark.parametrize(
    ("expression", "behind"),
    [
        *((same, {"shop"}) for same in ("shop", "sale", "shop,sale", "shop,shop", "shop*", "sa*,nothing*", "s*p")),
        ("both", {"shop", "other"}),
        ("shop,alone", {"shop", "other"}),
        ("shop-old,shop-hidden", {"shop-old", "shop-hidden"}),
        *((logs, {".ds-logs-1"}) for logs in ("logs", "streamed", "lo*")),
        ("*", {"shop", "other", ".ds-logs-1"}),
        *(
            (name, None)
            for name in ("nothing", "shop,nothing", "nothing*", "", "shop,", "_all", "far:shop", "shop,-s*")
        ),
        *((name, None) for name in ("<shop-{now/d}>", ".ds*", "sh?p", "SHOP", "shop*,.ds-logs-1")),
    ],
)
def test_what_stands_behind_a_name(expression: str, behind: set[str] | None) -> None:
    assert read_index_names(REPLY).behind(expression) == behind
