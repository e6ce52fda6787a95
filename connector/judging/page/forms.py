"""Forms as they come back from a browser."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from fastapi import Request

from connector.errors import SettingsError

MAX_FORM_BYTES = 100_000  # a note is a sentence
FormFields = Mapping[str, str]


async def read_form(request: Request) -> FormFields:
    """The fields of a form, the last of each name. Raises SettingsError for one that is too large or none."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MAX_FORM_BYTES:
            raise SettingsError("the note is too long; a sentence or two is what it is for")
    try:
        fields = parse_qs(content.decode("utf-8"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise SettingsError("this is no form of the page") from None
    return {name: values[-1] for name, values in fields.items()}
