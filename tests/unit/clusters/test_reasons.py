"""What the engines say, as they nest it, and what of it reaches the user."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.clusters.failures import refusal
from connector.clusters.reasons import explain_reason
from connector.errors import ClusterUnavailable
from connector.settings.sections import ClusterSettings

NOT_INDEXED = "to perform knn search on field [vec], its mapping must have [index] set to [true]"


def of_shard(reason: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "root_cause": [{"type": "query_shard_exception", "reason": "failed to create query: outside"}],
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
        "failed_shards": [{"shard": 0, "reason": reason}],
    } | more


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            of_shard({"reason": f"failed to create query: {NOT_INDEXED}", "caused_by": {"reason": NOT_INDEXED}}),
            f"{NOT_INDEXED} (HTTP 400); the vectors of this field are kept but not indexed; name an indexed one in "
            "index.vector_field, or reindex",
        ),
        ({"reason": "all shards failed", "root_cause": [{"reason": "deep"}]}, "deep (HTTP 400)"),
        ({"reason": "all shards failed", "suppressed": [{"reason": "hidden"}]}, "hidden (HTTP 400)"),
        ({"reason": "all shards failed"}, "all shards failed (HTTP 400)"),
        ({"reason": "failed", "caused_by": {"reason": "bad", "caused_by": {"type": "x"}}}, "failed: bad (HTTP 400)"),
        ({"reason": "failed to parse", "caused_by": {"reason": "no alias"}}, "no alias (HTTP 400)"),
        (
            {"reason": "element_type [byte] vectors; Preview of invalid vector: [0.1, 0.2]"},
            "element_type [byte] vectors (HTTP 400)",
        ),
        ({"type": "weird_exception", "reason": None}, "weird_exception (HTTP 400)"),
        ({}, "refused (HTTP 400)"),
    ],
)
def test_the_innermost_reason_is_what_is_told(error: Any, words: str) -> None:
    assert explain_reason(error, 400) == words


def test_a_block_on_reading_is_not_called_one_on_writing() -> None:
    block = {"type": "cluster_block_exception", "reason": "index [kb] blocked by: [FORBIDDEN/7/index read (api)];"}
    for error in (block, of_shard(block)):
        refused = refusal(ClusterSettings(url="http://db:9200"), 403, {"error": error}, asker="")

        assert isinstance(refused, ClusterUnavailable)
        assert "takes no reads" in str(refused)
        assert '"index.blocks.read": false' in str(refused)


JSON = st.recursive(
    st.none() | st.text(max_size=8) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["reason", "type", "caused_by", "root_cause", "failed_shards", "suppressed"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_error_is_told_in_some_words(error: Any) -> None:
    assert explain_reason(error, 500).strip()
