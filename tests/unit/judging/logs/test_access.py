"""The query in an access log's request, as nginx and Apache write it."""

from __future__ import annotations

import pytest

from connector.judging.logs.access import is_access_line, parse_access_line
from connector.judging.logs.outcome import NoSearch, SearchedFor, Unreadable

BROWSER = '"https://shop.example/" "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"'


def line(address: str, status: int = 200, rest: str = f"512 {BROWSER}") -> str:
    return f'203.0.113.7 - anna [29/Nov/2026:16:58:17 +0000] "GET {address} HTTP/1.1" {status} {rest}'


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("/search?q=red+shoes", "red shoes"),
        ("/search?page=2&q=red%20shoes&sort=price", "red shoes"),
        ("/s?q=C%2B%2B%20%26%20Rust", "C++ & Rust"),
        ("/s?q=schl%C3%BCssel", "schlüssel"),
        ("/s?q=schl%FCssel", "schlüssel"),
        ("/s?q=schl\\xC3\\xBCssel", "schlüssel"),
        ("/s?q=", ""),
        ("/s?a=1;q=x#q=y", "x"),
    ],
)
def test_the_parameter_is_decoded(address: str, text: str) -> None:
    assert is_access_line(line(address))
    assert parse_access_line(line(address), ["q"]) == SearchedFor(text)


def test_the_common_format_and_other_parameters() -> None:
    assert parse_access_line(line("/?s=deal", rest="-"), ["q", "s"]) == SearchedFor("deal")
    assert parse_access_line(line("/?filter%5Bterm%5D=deal"), ["filter[term]"]) == SearchedFor("deal")


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (line("/about"), "without q="),
        (line("/search?query=deal"), "without q="),
        (line("/search?q=deal", 404), "4xx"),
        (line("/search?q=deal", rest='12 "-" "Mozilla/5.0 (compatible; Googlebot/2.1)"'), "user agent"),
    ],
)
def test_what_nobody_searched_for_is_left_out(written: str, reason: str) -> None:
    outcome = parse_access_line(written, ["q"])

    assert isinstance(outcome, NoSearch)
    assert reason in outcome.reason


def test_another_line_cannot_be_read() -> None:
    assert isinstance(parse_access_line("2026/11/29 16:58:17 [error] 7#7: *1 open() failed", ["q"]), Unreadable)
