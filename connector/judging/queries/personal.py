"""What in a query looks like a person's data: mail addresses, and numbers that belong to somebody.

Names of persons look like any other words. Queries that few people asked are the likeliest to hold one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

MASK = "***"
MAIL = re.compile(r"[\w.+-]+(?:@|\s?(?:\[at\]|\(at\))\s?|%40)[\w-]+(?:\.[\w-]+)+")
IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b")
ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})(?![\w:])")
DIGITS = re.compile(r"(?<![\w.,])[+(]?\d(?:[ ()/.-]{0,2}\d){6,}(?!\w)")
PHONE_DIGITS = range(7, 16)
LONG = 9  # digits: a number of a customer, an order, an insurance
GTIN = 13  # digits of an article's number, also an ISBN, which belongs to nobody


class PersonalPart(NamedTuple):
    """Where such a part stands in a text, and what it looks like."""

    start: int
    end: int
    kind: str


def find_personal(text: str) -> tuple[PersonalPart, ...]:
    """What looks like a person's data, in its order; parts do not overlap."""
    if not any(character.isdigit() or character == "@" for character in text) and "at" not in text:
        return ()
    found: list[PersonalPart] = []
    for part in _all_parts(text):
        if not any(part.start < other.end and other.start < part.end for other in found):
            found.append(part)
    return tuple(sorted(found))


def mask_personal(text: str, parts: tuple[PersonalPart, ...]) -> str:
    """The text with stars in the place of these parts."""
    for part in reversed(parts):
        text = text[: part.start] + MASK + text[part.end :]
    return text


def _all_parts(text: str) -> Iterator[PersonalPart]:
    for pattern, kind, holds in _PATTERNS:
        for match in pattern.finditer(text):
            if holds(match[0]):
                yield PersonalPart(match.start(), match.end(), kind)
    for match in DIGITS.finditer(text):
        if number := _kind_of_number(match[0]):
            yield PersonalPart(match.start(), match.end(), number)


def _kind_of_number(written: str) -> str | None:
    digits = re.sub(r"\D", "", written)
    if 13 <= len(digits) <= 19 and _is_luhn(digits) and not _is_gtin(digits):
        return "card number"
    looks_dialled = written[0] in "+(" or digits.startswith("0") or re.search(r"\d[ /-]+\d", written)
    if looks_dialled and len(digits) in PHONE_DIGITS and not _is_gtin(digits) and not _is_span(written):
        return "phone number"
    return "long number" if len(digits) >= LONG and not _is_gtin(digits) else None


def _is_span(written: str) -> bool:
    """Years, dates and sizes are written with the same signs: 2019-2024, 24.12.2025, 2025-12-24."""
    groups = re.findall(r"\d+", written)
    is_short = max(map(len, groups)) <= 4 and sum(map(len, groups)) <= 8 and len(groups) <= 3
    return is_short and written[0].isdigit() and (len(groups) > 2 or not written.startswith("0"))


def _is_luhn(digits: str) -> bool:
    """Whether the last digit checks the others, as on cards (ISO/IEC 7812)."""
    doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_gtin(digits: str) -> bool:
    """Whether it is the number of an article, or an ISBN: thirteen digits, the last of which checks the others."""
    return len(digits) == GTIN and sum(int(digit) * (1 + 2 * (at % 2)) for at, digit in enumerate(digits)) % 10 == 0


def _is_iban(written: str) -> bool:
    """Whether the two digits behind the country check the rest (ISO 13616)."""
    plain = written.replace(" ", "").upper()
    moved = plain[4:] + plain[:4]
    return len(plain) >= 15 and int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _is_address(written: str) -> bool:
    try:
        ipaddress.ip_address(written)
    except ValueError:
        return False
    return len(written) >= len("1.1.1.1")


_PATTERNS: tuple[tuple[re.Pattern[str], str, Callable[[str], bool]], ...] = (
    (MAIL, "mail address", lambda written: True),
    (IBAN, "IBAN", _is_iban),
    (ADDRESS, "IP address", _is_address),
)
