"""A tokenizer that cannot be read is an error of ours."""

from __future__ import annotations

import logging

import pytest

from connector.models.tokenizer import read_tokenizer


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"version": "1.0", "model": {"type": "Nonsense"}}'])
def test_what_is_no_tokenizer_is_one_error_of_ours_with_the_librarys_in_the_log(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "connector")

    with pytest.raises(ValueError, match="it is no tokenizer") as caught:
        read_tokenizer(text)

    assert caught.value.__cause__
    assert "Traceback" in caplog.text
