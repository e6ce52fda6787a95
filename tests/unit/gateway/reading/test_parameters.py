"""Every URL parameter of a search: which of our requests it goes to, as it is written, or that it passes through."""

from __future__ import annotations

import pytest

from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.parameters import RequestKind, read_msearch_parameters, read_search_parameters

EVERY: tuple[RequestKind, ...] = ("lexical", "dense", "page", "tail")
SHOWN: tuple[RequestKind, ...] = ("page", "tail")


@pytest.mark.parametrize(
    ("piece", "legs"),
    [
        *((f"{name}=x", EVERY) for name in ("preference", "routing", "expand_wildcards", "timeout")),
        *((f"{name}=true", EVERY) for name in ("request_cache", "ignore_unavailable", "allow_no_indices")),
        *((f"{name}=true", EVERY) for name in ("allow_partial_search_results", "ccs_minimize_roundtrips")),
        *((f"{name}=5", EVERY) for name in ("batched_reduce_size", "max_concurrent_shard_requests")),
        *((piece, EVERY) for piece in ("pre_filter_shard_size=5", "error_trace", "ignore_throttled=true")),
        *((f"{name}=true", ("lexical",)) for name in ("typed_keys", "rest_total_hits_as_int", "track_total_hits")),
        *((piece, ("lexical",)) for piece in ("human", "stats=a", "suggest_field=title", "suggest_text=sofa")),
        *((f"{name}=title", SHOWN) for name in ("_source", "_source_includes", "_source_excludes", "stored_fields")),
        *((piece, SHOWN) for piece in ("docvalue_fields=a,b", "explain=true", "version", "seq_no_primary_term=true")),
        ("include_named_queries_score=true", SHOWN),
        ("search_type=dfs_query_then_fetch", ("lexical", "page", "tail")),
        ("terminate_after=10", ("lexical", "tail")),
        ("routing=a%2Cb", EVERY),
    ],
)
def test_a_parameter_goes_to_its_requests_as_it_is_written(piece: str, legs: tuple[RequestKind, ...]) -> None:
    found = read_search_parameters(f"size=3&{piece}".encode())

    assert {leg for leg in EVERY if found.of(leg) == piece.encode()} == set(legs)
    assert all(found.of(leg) == b"" for leg in EVERY if leg not in legs)


@pytest.mark.parametrize(
    "query_string",
    [
        *("scroll=1m", "search_pipeline=rrf", "format=yaml", "format=json", "unknown=1", "verbose_pipeline=true"),
        *("stored_fields=_none_", "size=1&size=2", "q=a&q=b", "a;b", "pretty=maybe", "from=%ff", "%zz=1"),
    ],
)
def test_what_is_not_understood_passes_through(query_string: str) -> None:
    with pytest.raises(NotRecognised):
        read_search_parameters(query_string.encode())


def test_what_is_ours_to_read_goes_nowhere() -> None:
    found = read_search_parameters(b"from=2&size=3&q=red+sofa%21&pretty&filter_path=hits.hits&sort=_score")

    assert found.read == {
        **{"from": "2", "size": "3", "q": "red sofa!"},
        **{"pretty": "", "filter_path": "hits.hits", "sort": "_score"},
    }
    assert found.pretty
    assert found.all_written == b""


def test_of_an_msearch_all_goes_to_both_requests() -> None:
    found = read_msearch_parameters(b"max_concurrent_searches=3&typed_keys=true&pretty=false")

    assert found.all_written == b"max_concurrent_searches=3&typed_keys=true"
    assert not found.pretty
    with pytest.raises(NotRecognised):
        read_msearch_parameters(b"size=3")
