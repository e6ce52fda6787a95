"""Which raw paths are searches of a named index. The engines split the raw path; tricks with it decide nothing."""

from __future__ import annotations

import pytest

from connector.gateway.reading.target import Target, read_target


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"/shop/_search", Target("shop", "search")),
        (b"/shop/_search/", Target("shop", "search")),
        (b"/shop/_msearch", Target("shop", "msearch")),
        (b"/_msearch", Target("", "msearch")),
        (b"/%73hop/_search", Target("shop", "search")),
        (b"/shop%2Cother/_search", Target("shop,other", "search")),
        (b"/%3Cshop-%7Bnow%2Fd%7D%3E/_search", Target("<shop-{now/d}>", "search")),
        (b"/%2573hop/_search", Target("%73hop", "search")),  # decoded once
    ],
)
def test_these_are_searches(path: bytes, target: Target) -> None:
    assert read_target(path) == target


@pytest.mark.parametrize(
    "path",
    [
        b"/_search",
        b"/_all",
        b"/shop/_search/template",
        b"/shop/_search/scroll",
        b"/shop/_async_search",
        b"/shop/_count",
        b"/shop/_doc/_search",
        b"/shop/_SEARCH",
        b"/shop/%5Fsearch",
        b"/shop/_search%20",
        b"//shop/_search",
        b"/shop//_search",
        b"/shop/../shop/_search",
        b"/shop/%2e%2e/_search",
        b"/./shop/_search",
        b"/shop/_search//",
        b"//_search",
        b"/_search/_search",
        b"shop/_search",
        b"*",
        b"",
        b"/%ff/_search",
    ],
)
def test_all_else_passes(path: bytes) -> None:
    assert read_target(path) is None
