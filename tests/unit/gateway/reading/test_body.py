"""Bodies of searches: what each part of them decides."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from connector.gateway.reading.body import SearchBody, read_search
from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.parameters import read_search_parameters
from connector.gateway.reading.text import TextReader

JSON = dict[str, Any]
QUERY: JSON = {"match": {"title": "red sofa"}}


def read(body: Any, query_string: str = "", *, retrievers: bool = True) -> SearchBody:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_search(data, read_search_parameters(query_string.encode()), TextReader(), retrievers=retrievers)


@pytest.mark.parametrize(
    "sort",
    ["_score", ["_score"], {"_score": "desc"}, [{"_score": "desc"}], [{"_score": {"order": "desc"}}], None, []],
)
def test_a_sort_by_score_is_no_sort(sort: Any) -> None:
    assert read({"query": QUERY, "sort": sort}).text == "red sofa"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        *(({"sort": sort}, "sort") for sort in ("price", ["_score", "price"], [{"_score": "asc"}], "_doc")),
        *(({name: [1]}, f"body {name}") for name in ("search_after", "slice", "pit", "collapse", "rescore", "rank")),
        *(({name: {}}, f"body {name}") for name in ("knn", "sub_searches", "search_pipeline", "nonsense")),
        ({"size": 0}, "size 0"),
        *(({"size": size}, "body size") for size in (-1, "5", True, 2.5)),
        ({"from": 9_995, "size": 10}, "beyond 10,000"),
        ({"stored_fields": "_none_"}, "stored_fields _none_"),
        ({"stored_fields": ["_none_"]}, "stored_fields _none_"),
        ({"query": {"match_all": {}}}, "no text"),
        ({"query": None}, "no query"),
        ({"retriever": {"standard": {"query": QUERY}}}, "retriever"),  # beside a query
    ],
)
def test_these_bodies_pass_through(body: JSON, reason: str) -> None:
    with pytest.raises(NotRecognised, match=f"^{reason}"):
        read({"query": QUERY} | body)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"query":{"match":{"title":"a"}},"query":{"match":{"title":"b"}}}', "a key that occurs twice"),
        (b'{"query":{"match":{"title":"a","title":"b"}}}', "a key that occurs twice"),
        (b'{"query":' + b'{"bool":{"must":[' * 40 + b"1" + b"]}}" * 40 + b"}", "nested too deep"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "nested too deep|no plain JSON"),
        (b'{"query"', "no plain JSON"),
        ('{"query":{"match":{"title":"a"}}}'.encode("utf-16"), "no plain JSON"),
        (b'{"query":{"match":{"title":"a"}},"min_score":NaN}', "no plain JSON"),
        (b'"query"', "no object"),
        (b"", "no query"),
    ],
)
def test_what_is_no_plain_json_passes_through(data: bytes, reason: str) -> None:
    with pytest.raises(NotRecognised, match=f"^({reason})"):
        read(data)


def test_the_url_wins_over_the_body() -> None:
    found = read({"query": {"match": {"title": "blue"}}, "size": 5, "from": 1}, "q=red+sofa&size=7&from=2&df=title")

    assert (found.text, found.start, found.size) == ("red sofa", 2, 7)
    assert json.loads(bytes(found.query)) == {"query_string": {"query": "red sofa", "default_field": "title"}}


@pytest.mark.parametrize(
    ("body", "query_string", "reason"),
    [
        ({"query": QUERY}, "size=ten", "parameter size"),
        ({"query": QUERY}, "from=1234567890", "parameter from"),
        ({}, "q=sofa&lenient=maybe", "parameter lenient"),
        ({"retriever": {"standard": {"query": QUERY}}}, "q=sofa", "retriever and q"),
    ],
)
def test_urls_that_the_engines_refuse_pass_through(body: JSON, query_string: str, reason: str) -> None:
    with pytest.raises(NotRecognised, match=f"^{reason}$"):
        read(body, query_string)


def test_a_standard_retriever_is_its_query() -> None:
    found = read({"retriever": {"standard": {"query": QUERY, "filter": {"term": {"brand": "a"}}}}})
    alone = read({"retriever": {"standard": {"query": QUERY}}})

    assert found.parsed == {"bool": {"must": [QUERY], "filter": {"term": {"brand": "a"}}}}
    assert alone.parsed == json.loads(bytes(alone.query)) == QUERY


@pytest.mark.parametrize("kind", ["knn", "rrf", "linear", "text_similarity_reranker", "rescorer", "pinned", "rule"])
def test_other_retrievers_pass_through(kind: str) -> None:
    with pytest.raises(NotRecognised, match=r"^retriever"):
        read({"retriever": {kind: {"retriever": {"standard": {"query": QUERY}}}}})


def test_a_wrapped_query_is_read_and_goes_on_as_it_came() -> None:
    given: JSON = {"bool": {"must": [QUERY], "filter": [{"term": {"brand": "a"}}]}}
    wrapped = {"wrapper": {"query": base64.b64encode(json.dumps(given).encode()).decode()}}
    found = read({"query": wrapped})

    assert (found.text, found.parsed) == ("red sofa", given)
    assert json.loads(bytes(found.query)) == wrapped


@pytest.mark.parametrize(
    ("wrapper", "reason"),
    [
        ({"query": "no base64!"}, "query wrapper"),
        ({"query": base64.b64encode(b"{").decode()}, "no plain JSON"),
        ({"query": base64.b64encode(b'{"match":{"a":"b"},"match":{"a":"c"}}').decode()}, "a key that occurs twice"),
        ({"query": base64.b64encode(b'{"wrapper":{"query":""}}').decode()}, "query wrapper"),
        ({"query": 1}, "query wrapper"),
    ],
)
def test_a_wrapper_of_something_else_passes_through(wrapper: JSON, reason: str) -> None:
    with pytest.raises(NotRecognised, match=f"^{reason}"):
        read({"query": {"wrapper": wrapper}})


def test_an_engine_without_retrievers_refuses_one_itself() -> None:
    with pytest.raises(NotRecognised, match=r"^retriever"):
        read({"retriever": {"standard": {"query": QUERY}}}, retrievers=False)


def test_source_in_the_url_is_read_as_the_body() -> None:
    given = 'source={"query":{"match":{"title":"red+sofa"}}}&source_content_type='

    assert read(b"", given + "application/json").text == "red sofa"
    with pytest.raises(NotRecognised, match=r"^parameter source"):
        read(b"", given + "application/yaml")
