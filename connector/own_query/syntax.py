"""The words of a text in the syntax of `query_string` or `simple_query_string`: its operators taken off, and what is
excluded left out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

# a word may hold + - ! / but not begin with them
QUERY_STRING = re.compile(
    r"""(?P<space>\s+)
    | (?P<phrase>"(?:\\.|[^"\\])*"?)
    | (?P<pattern>/(?:\\.|[^/\\])*/)
    | (?P<range>[\[{][^\]}]*[\]}]|(?<=:)[<>]=?\s*[^\s()]+)
    | (?P<tuning>[~^][\d.]*)
    | (?P<open>\()
    | (?P<close>\))
    | (?P<without>[-!](?=\S)|NOT(?=\s))
    | (?P<operator>&&|\|\||[-+!]|(?:AND|OR)(?=\s))
    | (?P<field>(?:\\.|[^\s:"()\[\]{}^~\\/+!<>-])(?:\\.|[^\s:"()\[\]{}^~\\])*:(?=\S))
    | (?P<word>(?:\\.|[^\s"()\[\]{}^~\\:])+)
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
SIMPLE = re.compile(
    r"""(?P<space>\s+)
    | (?P<phrase>"(?:\\.|[^"\\])*"?)
    | (?P<tuning>(?<=["\w])~\d*)
    | (?P<open>\()
    | (?P<close>\))
    | (?P<without>-(?=\S))
    | (?P<operator>[-+|])
    | (?P<word>(?:\\.|[^\s"()|~\\])+)
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
EXISTS = "_exists_"
Token = tuple[str, str]  # what it is, and how it is written


def plain_words(text: str, exact_fields: Collection[str] = ()) -> str:
    """The words that a `query_string` looks for. Values of `exact_fields`, ranges and regular expressions are none."""
    return " ".join(_words(_tokens(QUERY_STRING, text), exact_fields))


def plain_simple_words(text: str) -> str:
    """The words that a `simple_query_string` looks for."""
    return " ".join(_words(_tokens(SIMPLE, text), ()))


def _tokens(syntax: re.Pattern[str], text: str) -> Iterator[Token]:
    for found in syntax.finditer(text):
        yield str(found.lastgroup), found.group()


def _words(tokens: Iterator[Token], exact_fields: Collection[str]) -> list[str]:
    """The words up to the end of a group, or of the text."""
    words: list[str] = []
    dropped = False  # whether the next word, phrase or group is none that is looked for
    for kind, written in tokens:
        if kind == "close":
            break
        if kind == "without":
            dropped = True
        elif kind == "field":
            name = _unescape(written[:-1])
            dropped = dropped or name == EXISTS or name in exact_fields
        elif kind in ("word", "phrase", "open", "pattern", "range"):
            found = _words(tokens, exact_fields) if kind == "open" else _operand(kind, written)
            words += [] if dropped else found
            dropped = False
    return words


def _operand(kind: str, written: str) -> list[str]:
    if kind in ("pattern", "range"):
        return []
    word = _unescape(written.strip('"') if kind == "phrase" else written.replace("\\*", "\0").replace("\\?", "\1"))
    if kind == "word":  # a wildcard stands for letters that nobody typed
        word = word.replace("*", "").replace("?", "").replace("\0", "*").replace("\1", "?")
    return [word.strip()] if word.strip() else []


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
