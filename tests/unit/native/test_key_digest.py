"""The digest by which an installed key is known again."""

from __future__ import annotations

import pytest

from connector.native.key_digest import digest_key, is_digest_of


def test_a_digest_fits_its_key_alone() -> None:
    digest = digest_key("sesame")

    assert is_digest_of(digest, "sesame")
    assert not is_digest_of(digest, "Sesame")
    assert not is_digest_of(digest, None)


def test_two_digests_of_one_key_have_nothing_in_common() -> None:
    assert digest_key("sesame") != digest_key("sesame")


@pytest.mark.parametrize("digest", ["", "no digest", "zz:00", "sesame"])
def test_what_is_no_digest_fits_no_key(digest: str) -> None:
    assert not is_digest_of(digest, "sesame")


def test_no_key_has_an_empty_digest() -> None:
    assert digest_key(None) == ""
    assert is_digest_of("", None)
    assert not is_digest_of(digest_key("sesame"), "")
