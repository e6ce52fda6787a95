"""TREC's files: topics and qrels in, runs out."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from connector.errors import SourceError
from connector.evaluation.datasets import Collection, JudgedQuery, join, open_text, read_qrels
from connector.evaluation.measures import Run, falling_scores

TOPIC = re.compile(r"<(?:top|topic)\b([^>]*)>(.*?)</(?:top|topic)>", re.DOTALL | re.IGNORECASE)
ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*["']([^"']*)["']""")
CAPTION = re.compile(r"^\s*(?:Number|Topic|Title|Description|Narrative)\s*:\s*", re.IGNORECASE)
TEXT_FIELDS = ("title", "query")


def read_trec(topics: Path, qrels: Path, *, field: str | None = None) -> Collection:
    """The topics that have judgments. `field` of a topic is its query: title (or query) when not given. Raises SourceError."""
    return join(topics.name.split(".")[0], read_topics(topics, field=field), read_qrels(qrels))


def read_topics(path: Path, *, field: str | None = None) -> list[JudgedQuery]:
    """Topics in TREC's tags (`<top><num>`, or `<topic number="1">`), or lines of id, tab, text. Raises SourceError."""
    with open_text(path) as stream:
        text = stream.read()
    topics = [*_tagged(text, (field,) if field else TEXT_FIELDS)] or [*_lines(text)]
    if not topics:
        raise SourceError(
            f"{path} has no topics with a {field or ' or '.join(TEXT_FIELDS)}; topics are <top> or <topic> elements, or lines of "
            "id, tab, text"
        )
    return topics


def write_run(file: Path, run: Run, name: str) -> None:
    """A run file whose scores fall strictly: trec_eval ignores the rank column. White space in ids becomes %20 and the like."""
    with open(file, "w", encoding="utf-8") as stream:
        for query_id, ranking in run.items():
            for rank, (doc_id, score) in enumerate(falling_scores(ranking).items(), start=1):
                stream.write(f"{_word(query_id)} Q0 {_word(doc_id)} {rank} {score:g} {_word(name)}\n")


def _tagged(text: str, fields: tuple[str, ...]) -> Iterator[JudgedQuery]:
    for attributes, body in TOPIC.findall(text):
        labels = dict(ATTRIBUTE.findall(attributes))
        number = labels.pop("number", "") or _element(body, "num")
        query = next(filter(None, (_element(body, field) for field in fields)), "")
        if number and query:
            yield JudgedQuery(number, query, {name: (value,) for name, value in labels.items()})


def _element(body: str, name: str) -> str:
    """The text of an element, which need not be closed, without the caption that TREC writes before it."""
    found = re.search(rf"<{re.escape(name)}>(.*?)(?=<|$)", body, re.DOTALL | re.IGNORECASE)
    return " ".join(html.unescape(CAPTION.sub("", found[1])).split()) if found else ""


def _lines(text: str) -> Iterator[JudgedQuery]:
    for line in text.splitlines():
        query_id, tab, query = line.partition("\t")
        if tab and query.strip():
            yield JudgedQuery(query_id.strip(), query.strip())


def _word(text: str) -> str:
    return re.sub(r"\s", lambda blank: quote(blank[0]), text)
