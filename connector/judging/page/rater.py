"""Who grades: the name that a person gives once, and that their browser remembers for every page on this host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from urllib.parse import quote, unquote

from fastapi import Request, Response

from connector.errors import SettingsError
from connector.judging.grades import SETTLED, Grade
from connector.text import normalise_text

COOKIE = "connector-rater"
COOKIE_S = 180 * 24 * 3600
MAX_NAME_CHARS = 40


def read_rater(request: Request) -> str | None:
    """Who sent the request, as their browser remembers; None where it does not."""
    name = unquote(request.cookies.get(COOKIE, ""))
    return check_name(name) if is_name(name) else None


def remember(reply: Response, name: str) -> None:
    """Let the browser that gets the reply remember the name."""
    reply.set_cookie(COOKIE, quote(name), max_age=COOKIE_S, httponly=True, samesite="lax")


def is_name(value: str) -> bool:
    """Whether a rater may be called so."""
    try:
        check_name(value)
    except SettingsError:
        return False
    return True


def check_name(value: str) -> str:
    """A rater's name in the one spelling. Raises SettingsError where it is none."""
    name = " ".join(normalise_text(value).split())
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise SettingsError(f"a name of up to {MAX_NAME_CHARS} characters is needed")
    if name.casefold() == SETTLED:
        raise SettingsError(f"{SETTLED!r} is what the log calls a grade that ends a disagreement; take another name")
    return name


def count_raters(grades: Iterable[Grade]) -> dict[str, int]:
    """Everybody who judged so far, with how many of these grades are theirs."""
    counts: Counter[str] = Counter()
    for grade in grades:
        if grade.kind == "person" and grade.by != SETTLED:
            counts[grade.by] += grade.grade is not None
    return dict(counts)
