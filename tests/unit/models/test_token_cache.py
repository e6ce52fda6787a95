"""The cache of token vectors keeps to its bytes, and drops what was used longest ago."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from connector.models.token_cache import TokenCache


def vectors(tokens: int) -> np.ndarray:
    return np.full((tokens, 2), tokens, dtype=np.float16)  # 4 bytes a token


def test_what_was_put_is_got_by_its_text() -> None:
    cache = TokenCache(100)
    cache.put("a", vectors(3))

    found, missing = cache.get("a"), cache.get("b")

    assert found is not None
    assert found.tolist() == vectors(3).tolist()
    assert missing is None
    assert (cache.hits, cache.misses, cache.bytes) == (1, 1, 12)


def test_the_least_recently_used_goes_first() -> None:
    cache = TokenCache(12)
    for text in "abc":
        cache.put(text, vectors(1))
    cache.get("a")
    cache.put("d", vectors(1))

    assert [cache.get(text) is not None for text in "abcd"] == [True, False, True, True]


def test_what_is_larger_than_the_whole_cache_is_not_kept_and_drives_nothing_out() -> None:
    cache = TokenCache(12)
    cache.put("small", vectors(1))
    cache.put("large", vectors(4))

    assert (cache.get("small") is not None, cache.get("large"), cache.bytes) == (True, None, 4)


def test_a_cache_of_no_bytes_keeps_nothing() -> None:
    cache = TokenCache(0)
    cache.put("a", vectors(1))

    assert (cache.get("a"), cache.bytes) == (None, 0)


def test_putting_twice_counts_once() -> None:
    cache = TokenCache(100)
    cache.put("a", vectors(2))
    cache.put("a", vectors(2))

    assert cache.bytes == 8


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5), st.booleans()), max_size=60), st.integers(0, 60)
)
def test_the_bound_holds_and_the_bytes_are_counted(steps: list[tuple[str, int, bool]], max_bytes: int) -> None:
    cache = TokenCache(max_bytes)
    for text, tokens, put in steps:
        if put:
            cache.put(text, vectors(tokens))
        else:
            cache.get(text)

    kept = [found for text in "abcdef" if (found := cache.get(text)) is not None]
    assert cache.bytes == sum(vectors_kept.nbytes for vectors_kept in kept) <= max_bytes


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_is_a_key(text: str) -> None:
    cache = TokenCache(100)
    cache.put(text, vectors(1))

    assert cache.get(text) is not None


def test_what_one_scope_put_another_does_not_find() -> None:
    cache = TokenCache(100)
    cache.put("a", vectors(1), "ann")

    found = {scope: cache.get("a", scope) is not None for scope in ("", "ann", "bob", "an")}
    cache.put("a", vectors(2), "bob")

    assert found == {"": False, "ann": True, "bob": False, "an": False}
    assert [len(cache.get("a", scope)) for scope in ("ann", "bob")] == [1, 2]
    assert cache.bytes == 12
