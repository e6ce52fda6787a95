"""The body of _rank_eval, which Elasticsearch and OpenSearch share: a request with ratings for each query."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from connector.errors import ConnectorError, SourceError
from connector.evaluation.files.queries import text_of
from connector.evaluation.files.text_file import read_text
from connector.judging.formats.judged import Body, Judged, JudgedFile, JudgmentsToWrite, Written
from connector.own_query.read import read_own_query
from connector.own_query.template import fill_template

METRIC = {"dcg": {"k": 10, "normalize": True}}
NEEDS = "a _rank_eval body has requests, each with an id and ratings (_index, _id, rating)"


def is_rank_eval(content: Any) -> bool:
    """Whether a JSON value is such a body."""
    return isinstance(content, Mapping) and isinstance(content.get("requests"), list)


def read_rank_eval(path: Path) -> JudgedFile:
    """The text of a query is what its request searches for; where that is not clear, its id stands for it. Documents of
    several indices are called INDEX/ID. Raises SourceError."""
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no JSON ({error})") from None
    if not is_rank_eval(content):
        raise SourceError(f"{path} has no requests; {NEEDS}")
    try:
        indices = {rating["_index"] for request in content["requests"] for rating in request["ratings"]}
        judged = [found for request in content["requests"] for found in _judged(request, len(indices) > 1, f"{path}: ")]
        bodies = {str(request["id"]): request["request"] for request in content["requests"] if "request" in request}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{path}: {NEEDS}, but something else is there ({error!r})") from error
    return JudgedFile(tuple(judged), bodies)


def write_rank_eval(judgments: JudgmentsToWrite, *, index: str, template: Body) -> Written:
    """The body, with the query that a request came with, or the template with the query's text in it."""
    requests, textless, negative = [], 0, 0
    for query_id, grades in judgments.qrels.items():
        text = judgments.queries.get(query_id, "")
        body = judgments.bodies.get(query_id) or (fill_template(template, text) if text else None)
        if body is None:
            textless += 1
            continue
        negative += sum(grade < 0 for grade in grades.values())
        rated = [{"_index": index, "_id": doc_id, "rating": grade} for doc_id, grade in grades.items() if grade >= 0]
        requests.append({"id": query_id, "request": body, "ratings": rated})
    notes = (
        (f"{textless} queries have judgments and no text in queries.jsonl, and are left out" if textless else ""),
        (f"{negative} grades are below 0, which _rank_eval refuses, and are left out" if negative else ""),
    )
    content = {"requests": requests, "metric": METRIC}
    return Written(json.dumps(content, ensure_ascii=False, indent=2) + "\n", tuple(note for note in notes if note))


def match_template(fields: Sequence[str]) -> dict[str, Any]:
    """A plain query of these fields, where nobody gave one."""
    return {"query": {"multi_match": {"query": "{{query}}", "fields": list(fields) or ["*"]}}}


def _judged(request: Mapping[str, Any], has_indices: bool, where: str) -> Iterator[Judged]:
    query_id = text_of(request["id"]) or ""
    text = _text(request) or query_id
    for rating in request["ratings"]:
        doc_id = f"{rating['_index']}/{rating['_id']}" if has_indices else str(rating["_id"])
        yield Judged(doc_id, float(rating["rating"]), query_id=query_id, text=text, where=f"{where}{query_id}")


def _text(request: Mapping[str, Any]) -> str:
    """What the request searches for: by its query, or by the only text among the parameters of a template."""
    body = request.get("request")
    if isinstance(body, Mapping) and "query" in body:
        try:
            return read_own_query(body["query"]).text or ""
        except ConnectorError:
            pass  # no query that is known here
    texts = [value for value in (request.get("params") or {}).values() if isinstance(value, str)]
    return texts[0] if len(texts) == 1 else ""
