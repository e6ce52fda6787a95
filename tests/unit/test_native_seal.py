from __future__ import annotations

import pytest

from connector.native.seal import fits, seal


def test_a_seal_fits_its_key_alone() -> None:
    sealed = seal("sesame")

    assert fits(sealed, "sesame")
    assert not fits(sealed, "Sesame")
    assert not fits(sealed, None)


def test_two_seals_of_one_key_have_nothing_in_common() -> None:
    assert seal("sesame") != seal("sesame")


@pytest.mark.parametrize("sealed", ["", "no seal", "zz:00", "sesame"])
def test_what_is_no_seal_fits_no_key(sealed: str) -> None:
    assert not fits(sealed, "sesame")


def test_no_key_has_an_empty_seal() -> None:
    assert seal(None) == ""
    assert fits("", None)
    assert not fits(seal("sesame"), "")
