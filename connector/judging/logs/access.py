"""Access logs of nginx and Apache in the common and the combined format: the query in a request's address."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes

from connector.judging.logs.outcome import NoSearch, Outcome, SearchedFor, Unreadable

# [time] "GET /search?q=deal HTTP/1.1" 200 ..., and at the end "referrer" "user agent" in the combined format
LINE = re.compile(
    r'\[[^\]]+\] "(?P<method>[A-Z]+) (?P<address>\S*)(?: HTTP/[\d.]+)?" (?P<status>\d{3}) '
    r'(?:\S+(?: "(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)")?)?'
)
ESCAPE = re.compile(r"\\x([0-9A-Fa-f]{2})")  # as both servers write bytes that are not ASCII
CRAWLER = re.compile(r"bot\b|crawl|spider|slurp|bingpreview|monitor|pingdom|curl/|wget/", re.IGNORECASE)


def is_access_line(line: str) -> bool:
    """Whether a server wrote such a line."""
    return LINE.search(line) is not None


def parse_access_line(line: str, parameters: Collection[str]) -> Outcome:
    """The text of the first of the parameters that the request has."""
    found = LINE.search(line)
    if not found:
        return Unreadable("it is no line of the common or combined log format")
    if found["status"][0] in "45":
        return NoSearch(f"answered with an error ({found['status'][0]}xx)")
    if CRAWLER.search(found["agent"] or ""):
        return NoSearch("asked by a program, as its user agent says")
    text = find_parameter(found["address"], parameters)
    if text is None:
        return NoSearch(f"a request without {' or '.join(f'{name}=' for name in parameters)}")
    return SearchedFor(text)


def find_parameter(address: str, parameters: Collection[str]) -> str | None:
    """The value of the first of the parameters in an address, decoded; None where it has none of them."""
    query = address.partition("?")[2].partition("#")[0]
    for pair in re.split("[&;]", query):
        name, _, value = pair.partition("=")
        if _decode(name) in parameters:
            return _decode(value)
    return None


def _decode(text: str) -> str:
    """What was encoded for an address: UTF-8, or Latin-1 where it is none."""
    data = unquote_to_bytes(ESCAPE.sub(r"%\1", text.replace("+", " ")))
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
