"""TREC's files: topics and qrels in, runs out."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from connector.errors import DiskError, SourceError
from connector.evaluation.files.datasets import Collection, join
from connector.evaluation.files.judgments import read_judgments
from connector.evaluation.files.queries import JudgedQuery, Queries, unique
from connector.evaluation.files.text_file import line_number, numbered_lines, read_text
from connector.evaluation.statistics.measures import Run, falling_scores
from connector.types import Hit, Ranking
from connector.whole_file import write_whole

TOPIC = re.compile(r"<(?:top|topic)\b([^>]*)>", re.IGNORECASE)
TOPIC_END = re.compile(r"</(?:top|topic)>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*["']([^"']*)["']""")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
CAPTION = re.compile(r"^\s*(?:Number|Topic|Title|Description|Narrative)\s*:\s*", re.IGNORECASE)
TEXT_FIELDS = ("title", "query")
# white space as it stands in a run's ids; a percent sign is written so where an id holds such a code itself
QUOTED = "|".join(sorted({quote(chr(code)) for code in range(0x3001) if chr(code).isspace()} | {"%25"}))
UNWRITABLE = re.compile(rf"\s|%(?=(?:{QUOTED.replace('%', '', 1).replace('|%', '|')}))")


def read_trec(topics: Path, qrels: Path, *, field: str | None = None) -> Collection:
    """The topics that have judgments. `field` of a topic is its query: title (or query) when not given.

    Raises SourceError."""
    return join(topics.name.split(".")[0], read_topics(topics, field=field), read_judgments(qrels))


def read_topics(path: Path, *, field: str | None = None) -> Queries:
    """Topics in TREC's tags (`<top><num>`, or `<topic number="1">`), or lines of id, tab, text.

    A topic without that field is left out. Raises SourceError, with the line."""
    text = COMMENT.sub(lambda found: "\n" * (line_number(found[0]) - 1), read_text(path))
    fields = (field,) if field else TEXT_FIELDS
    topics = [*(_tagged(text, fields, path) if TOPIC.search(text) else _lines(path))]
    if not topics:
        raise SourceError(
            f"{path} has no topics with a {' or '.join(fields)}; topics are <top> or <topic> elements, or lines of id, "
            "tab, text"
        )
    return unique(path, topics)


def write_run(file: Path, run: Run, name: str) -> None:
    """A run file whose scores fall strictly: trec_eval ignores the rank column. White space in ids becomes %20 and the
    like. Raises DiskError."""
    lines = (
        f"{_word(query_id)} Q0 {_word(doc_id)} {rank} {score:.0f} {_word(name)}\n"
        for query_id, ranking in run.items()
        for rank, (doc_id, score) in enumerate(falling_scores(ranking).items(), start=1)
    )
    try:
        write_whole(file, lines)
    except OSError as error:
        raise DiskError(f"cannot write the run {file} ({error.strerror}); choose another place") from None


def read_run(file: Path) -> dict[str, Ranking]:
    """Query -> ranking of a run file, by falling scores; ids are those that `write_run` was given. Raises SourceError,
    with the line."""
    rankings: dict[str, dict[str, Hit]] = {}
    for number, line in numbered_lines(file):
        match line.split():
            case [query_id, _, doc_id, _, score, _]:
                hits = rankings.setdefault(_unquote(query_id), {})
                hit = Hit(_unquote(doc_id), _number(score, f"{file}:{number}"))
                if hits.setdefault(hit.doc_id, hit) is not hit:
                    raise SourceError(f"{file}:{number} has a document that this query has already")
            case _:
                raise SourceError(f"{file}:{number} is no line of a run: query, Q0, document, rank, score, name")
    return {query_id: tuple(sorted(hits.values(), key=lambda hit: -hit.score)) for query_id, hits in rankings.items()}


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SourceError(f"{where} is no line of a run: its score {text!r} is no number") from None


def _tagged(text: str, fields: tuple[str, ...], path: Path) -> Iterator[tuple[int, JudgedQuery]]:
    """Each topic, up to its end or the next one's beginning, with its line."""
    beginnings = [*TOPIC.finditer(text)]
    for found, following in zip(beginnings, [*beginnings[1:], None], strict=True):
        where = line_number(text[: found.start()])
        body = TOPIC_END.split(text[found.end() : following.start() if following else None])[0]
        labels = dict(ATTRIBUTE.findall(found[1]))
        number = labels.pop("number", "").strip() or _element(body, "num")
        if not number:
            raise SourceError(f"{path}:{where} is a topic without a number; it needs <num>, or the attribute number")
        if query := next(filter(None, (_element(body, field) for field in fields)), ""):
            yield where, JudgedQuery(number, query, {name: (value,) for name, value in labels.items()})


def _element(body: str, name: str) -> str:
    """The text of an element, without the caption that TREC writes before it and without tags within.

    It need not be closed: it then ends before the next tag. A bare < is text."""
    opened = re.search(rf"<{re.escape(name)}(?:\s[^<>]*)?>", body, re.IGNORECASE)
    if not opened:
        return ""
    rest = body[opened.end() :]
    closed = re.search(rf"</{re.escape(name)}\s*>", rest, re.IGNORECASE)
    text = rest[: closed.start()] if closed else TAG.split(rest, maxsplit=1)[0]
    text = html.unescape(TAG.sub(" ", CAPTION.sub("", CDATA.sub(lambda found: html.escape(found[1]), text))))
    return " ".join(text.split())


def _lines(path: Path) -> Iterator[tuple[int, JudgedQuery]]:
    for number, line in numbered_lines(path):
        query_id, tab, query = line.partition("\t")
        if not tab:
            raise SourceError(
                f"{path}:{number} is no topic: lines are id, tab, text; else topics are <top> or <topic> elements"
            )
        yield number, JudgedQuery(query_id.strip(), query.strip())


def _word(text: str) -> str:
    return UNWRITABLE.sub(lambda found: quote(found[0]), text)


def _unquote(word: str) -> str:
    return re.sub(QUOTED, lambda found: unquote(found[0]), word)
