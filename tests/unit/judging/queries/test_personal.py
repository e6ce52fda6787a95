"""What looks like a person's data in a query, and what only looks alike."""

from __future__ import annotations

import pytest

from connector.judging.queries.personal import find_personal, mask_personal


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("order of anna.meier+shop@example.co.uk", "mail address"),
        ("anna[at]example.org", "mail address"),
        ("refund to DE89 3704 0044 0532 0130 00", "IBAN"),
        ("gb82west12345698765432", "IBAN"),
        ("4111 1111 1111 1111", "card number"),
        ("card 5500000000000004 declined", "card number"),
        ("+49 30 901820", "phone number"),
        ("call (030) 90182-0 now", "phone number"),
        ("0151 23456789", "phone number"),
        ("555-123-4567", "phone number"),
        ("customer 123456789", "long number"),
        ("login from 203.0.113.7", "IP address"),
        ("2001:db8::ff00:42:8329", "IP address"),
    ],
)
def test_it_is_found(text: str, kind: str) -> None:
    assert [part.kind for part in find_personal(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "red shoes",
        "iphone 15 128 gb",
        "budget 2019-2024",
        "release of 24.12.2025",
        "2025-12-24 report",
        "error 0x80070057",
        "std::vector at()",
        "isbn 978-3-16-148410-0",
        "4006381333931",
        "part 12345678",
        "1.000.000 euro",
        "meeting at 12:30:45",
        "rs-232 25 pin",
        "@home office",
        "dn 40 pn 16",
    ],
)
def test_what_only_looks_alike_stays(text: str) -> None:
    assert find_personal(text) == ()


def test_a_mask_leaves_the_rest() -> None:
    text = "refund for anna@example.org, card 4111 1111 1111 1111 please"

    assert mask_personal(text, find_personal(text)) == "refund for ***, card *** please"
