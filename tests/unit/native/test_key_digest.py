from __future__ import annotations

import pytest

from connector.native.key_digest import digest_key, is_digest_of


def test_a_seal_fits_its_key_alone() -> None:
    sealed = digest_key("sesame")

    assert is_digest_of(sealed, "sesame")
    assert not is_digest_of(sealed, "Sesame")
    assert not is_digest_of(sealed, None)


def test_two_seals_of_one_key_have_nothing_in_common() -> None:
    assert digest_key("sesame") != digest_key("sesame")


@pytest.mark.parametrize("sealed", ["", "no seal", "zz:00", "sesame"])
def test_what_is_no_seal_fits_no_key(sealed: str) -> None:
    assert not is_digest_of(sealed, "sesame")


def test_no_key_has_an_empty_seal() -> None:
    assert digest_key(None) == ""
    assert is_digest_of("", None)
    assert not is_digest_of(digest_key("sesame"), "")
