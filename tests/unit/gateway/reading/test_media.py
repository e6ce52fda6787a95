"""Media types, codings and wishes: whose searches are JSON, and what our own requests are sent with."""

from __future__ import annotations

import gzip

import pytest

from connector.gateway.exchange import Headers
from connector.gateway.reading.media import check_media, headers_of_ours, read_body
from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.wishes import Wishes, read_wishes

VND = "application/vnd.elasticsearch+json; compatible-with=9"
LINES = "application/vnd.elasticsearch+x-ndjson; compatible-with=9"


def headers(**values: str) -> Headers:
    return tuple((name.replace("_", "-").title().encode(), value.encode()) for name, value in values.items())


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (headers(content_type="application/json"), False),
        (headers(content_type="application/json; charset=UTF-8", accept="*/*"), False),
        (headers(content_type=VND, accept=VND), False),
        (headers(content_type="application/json", accept="application/json, text/plain"), False),
        (headers(content_type="application/x-ndjson"), True),
        (headers(content_type=LINES, accept=VND), True),
        (headers(content_type="application/json"), True),
    ],
)
def test_these_are_json(given: Headers, lines: bool) -> None:
    check_media(given, has_body=True, lines=lines)


@pytest.mark.parametrize(
    "given",
    [
        headers(),
        headers(content_type="application/yaml"),
        headers(content_type="application/cbor"),
        headers(content_type="application/smile"),
        headers(content_type="application/x-ndjson"),
        headers(content_type="application/json", accept="application/yaml"),
        headers(content_type="application/json", accept="text/html, */*"),
        (*headers(content_type="application/json"), *headers(content_type="application/json")),
    ],
)
def test_these_are_not(given: Headers) -> None:
    with pytest.raises(NotRecognised):
        check_media(given, has_body=True, lines=False)


def test_our_requests_have_the_callers_headers_but_those_about_its_body() -> None:
    given = headers(
        content_type=VND, accept=VND, authorization="ApiKey x", x_opaque_id="7", content_length="9",
        accept_encoding="gzip", content_encoding="gzip", x_rerank="union",
    )  # fmt: skip

    assert headers_of_ours(given) == headers(content_type=VND, accept=VND, authorization="ApiKey x", x_opaque_id="7")


def test_a_search_without_a_body_gets_the_type_that_it_accepts() -> None:
    assert dict(headers_of_ours(headers(accept=VND)))[b"content-type"] == VND.encode()
    assert dict(headers_of_ours(headers(accept="*/*")))[b"content-type"] == b"application/json"


def test_a_gzipped_body_is_read_up_to_the_limit() -> None:
    packed, given = gzip.compress(b"a" * 100), headers(content_encoding="gzip")

    assert read_body(given, packed, limit=100) == b"a" * 100
    for body, own_headers in ((packed, given), (b"no gzip", given), (packed, headers(content_encoding="br"))):
        with pytest.raises(NotRecognised):
            read_body(own_headers, body, limit=99)


def test_wishes_are_words_of_one_header() -> None:
    assert read_wishes(headers(x_rerank="bounded, fresh"), ()) == Wishes("bounded", fresh=True)
    assert read_wishes(headers(x_rerank="cheap"), {"cheap"}) == Wishes(pipeline="cheap")
    assert read_wishes((), ()) == Wishes()
    for word in ("off", "dear"):
        with pytest.raises(NotRecognised):
            read_wishes(headers(x_rerank=word), {"cheap"})
