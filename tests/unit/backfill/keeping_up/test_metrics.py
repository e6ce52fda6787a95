"""How far behind what is followed is, under the same names for an index and for a source."""

from __future__ import annotations

import httpx

from connector.backfill.keeping_up.lag import PassageLag
from connector.backfill.keeping_up.metrics import FollowMetrics
from connector.ingest.following.account import FollowReport
from connector.ingest.following.source import SourceLag
from connector.ingest.report import Counts


def test_an_index_and_a_source_have_the_same_metrics() -> None:
    metrics = FollowMetrics(silent_s=60)
    report = FollowReport(Counts(written=3, removed=1), 1.0, lag=SourceLag(0.5, 2, "files"))
    with metrics.serving(0) as port:
        metrics.tell_behind("shop", PassageLag(7, 0.0, "away"))
        metrics.tell_source("docs", report)
        lines = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()

    assert {line for line in lines if line.startswith(("connector_follow_behind", "connector_follow_in"))} == {
        'connector_follow_behind_operations{index="shop"} 7.0',
        'connector_follow_behind_seconds{index="shop"} 0.0',
        'connector_follow_in_trouble{index="shop"} 1.0',
        'connector_follow_behind_operations{index="docs"} 2.0',
        'connector_follow_behind_seconds{index="docs"} 0.5',
        'connector_follow_in_trouble{index="docs"} 0.0',
    }
    assert 'connector_follow_documents{index="docs",outcome="written"} 3.0' in lines
    assert 'connector_follow_documents{index="docs",outcome="removed"} 1.0' in lines


def test_an_index_of_which_nothing_is_heard_falls_behind_until_it_is_followed_no_more() -> None:
    def seconds(index: str) -> float | None:
        return metrics.registry.get_sample_value("connector_follow_behind_seconds", {"index": index})

    metrics = FollowMetrics(silent_s=0)
    metrics.tell_behind("silent", PassageLag())
    before = seconds("silent")
    metrics.tell_behind("behind", PassageLag(3, 20.0))

    assert before is not None
    assert before > 0
    assert (seconds("behind") or 0) > 20

    metrics.forget("silent")

    assert seconds("silent") is None
