"""Bodies of requests: limits, encodings, gzip, and what cannot be read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import httpx
import pytest
from support.worker.worker_app import COHERE, LIST, PASSAGES, TEI, message, post, rerank

from connector.worker.bodies import GzipUnpacker


@pytest.mark.parametrize("path", list(LIST))
def test_an_empty_list_and_an_empty_query_are_refused(url: str, path: str) -> None:
    replies = rerank(url, path, passages=[]), rerank(url, path, query="  ")

    assert [reply.status_code for reply in replies] == [400, 400]
    assert ["passages is empty" in message(replies[0]), message(replies[1])] == [True, "the query is empty"]


def test_tei_names_the_type_of_an_error(url: str) -> None:
    replies = rerank(url, TEI, passages=[]), post(url, TEI, {}), rerank(url, TEI, passages=["a"] * 21)

    assert [(reply.status_code, reply.json()["error_type"]) for reply in replies] == [
        (400, "empty"),
        (422, "validation"),
        (422, "validation"),
    ]


@pytest.mark.parametrize("path", list(LIST))
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"query": "q"}',
        b'{"query": 1, "texts": 2, "documents": 3}',
        b'{"query": "\xff"}',
        b"[" * 9_000,
    ],
    ids=["nothing", "broken", "list", "null", "no passages", "wrong types", "not utf-8", "deep"],
)
def test_a_body_that_cannot_be_read_is_refused_in_the_paths_dialect(url: str, path: str, body: bytes) -> None:
    reply = httpx.post(url + path, content=body, headers={"content-type": "application/json"})

    assert reply.status_code in (400, 422)
    assert message(reply)


@pytest.mark.parametrize("path", list(LIST))
@pytest.mark.parametrize("text", [b'"\\ud800"', b'"a \\udfff b"'])
def test_half_a_surrogate_pair_is_refused_and_kills_nothing(url: str, path: str, text: bytes) -> None:
    body = b'{"query": "red", "%b": [%b], "return_text": true}' % (LIST[path].encode(), text)

    reply = httpx.post(url + path, content=body, headers={"content-type": "application/json"})

    assert reply.status_code == 422
    assert message(reply)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_half_a_surrogate_pair_in_a_fields_name_is_refused(url: str, path: str) -> None:
    body = b'{"query": "q", "documents": [{"a": "b"}], "rank_fields": ["\\ud800"]}'

    assert httpx.post(url + path, content=body, headers={"content-type": "application/json"}).status_code == 422


def test_a_body_that_is_no_json_is_told_from_one_that_does_not_fit(url: str) -> None:
    headers = {"content-type": "application/json"}
    statuses = [httpx.post(url + TEI, content=body, headers=headers).status_code for body in (b"{", b"{}", b"[]")]

    assert statuses == [400, 422, 422]


@pytest.mark.parametrize("weights", ["[[0, 1, NaN]]", "[[Infinity, 1, 1]]", "[[0, 1]]", '"x"', "[[0, 1, 1e999]]"])
def test_weights_that_are_no_numbers_are_refused(url: str, weights: str) -> None:
    body = f'{{"query": "red", "texts": ["a"], "query_weights": {weights}}}'

    reply = httpx.post(url + TEI, content=body, headers={"content-type": "application/json"})

    assert reply.status_code == 422


def test_too_many_passages_are_refused_with_the_limit(url: str) -> None:
    reply = rerank(url, COHERE, passages=["a"] * 21)

    assert (reply.status_code, message(reply)) == (422, "21 passages in one request; at most 20 are taken")


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/rerank", 405), ("/v2/rerank", 405)])
def test_a_wrong_path_or_method_speaks_the_paths_dialect(url: str, path: str, status: int) -> None:
    reply = httpx.get(url + path)

    assert reply.status_code == status
    assert message(reply)


@pytest.mark.parametrize("path", list(LIST))
def test_a_long_body_is_refused_by_its_announced_length(url: str, path: str) -> None:
    reply = rerank(url, path, passages=["x" * 20_001])

    assert reply.status_code == 413
    assert "longer than 20000 bytes" in message(reply)


@pytest.mark.parametrize("path", list(LIST))
def test_a_long_body_is_refused_without_an_announced_length(url: str, path: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"query": "q", "texts": ["'
        for _ in range(30):
            yield b"x" * 1_000
        yield b'"]}'

    reply = httpx.post(url + path, content=pieces(), headers={"content-type": "application/json"})

    assert reply.status_code == 413
    assert "longer than 20000 bytes" in message(reply)


def test_a_body_of_just_the_limit_is_read(url: str) -> None:
    frame = len(json.dumps({"query": "q", "texts": [""]}, separators=(",", ":")))

    reply = rerank(url, TEI, query="q", passages=["x" * (20_000 - frame)])

    assert reply.status_code == 200


BODY = json.dumps({"query": "red fish", "texts": PASSAGES}).encode()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/x-www-form-urlencoded"},  # what curl -d says of everything
        {"content-type": "text/plain; charset=utf-8"},
        {"content-type": "application/octet-stream"},
        {"content-type": "nonsense"},
        {"content-encoding": "identity"},
    ],
    ids=str,
)
def test_json_is_read_whatever_its_content_type_says(url: str, headers: dict[str, str]) -> None:
    reply = httpx.post(url + TEI, content=BODY, headers=headers)

    assert reply.status_code == 200, reply.text
    assert reply.json() == rerank(url, TEI).json()


LATIN = '{"query": "caf\u00e9 \u00fc", "texts": ["caf\u00e9", "tea"]}'


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("utf-8", "application/json; charset=latin-1"),  # the bytes are taken at their word first
        ("utf-8-sig", ""),
        ("latin-1", "application/json; charset=ISO-8859-1"),
        ("utf-16", "application/json; charset=utf-16"),
        ("utf-16-le", ""),
        ("utf-32", ""),
    ],
)
def test_a_body_is_read_in_the_encoding_that_it_is_in(url: str, encoding: str, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    reply = httpx.post(url + TEI, content=LATIN.encode(encoding), headers=headers)

    assert reply.status_code == 200, reply.text
    assert [found["index"] for found in reply.json()] == [0, 1]


@pytest.mark.parametrize("path", list(LIST))
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "there is no body; send JSON"),
        (b'{"query": ', "the body is not JSON: Expecting value at character 10"),
        (LATIN.encode("latin-1"), "the body is not UTF-8 (byte 14); send JSON in UTF-8, or name its charset"),
        (gzip.compress(BODY, mtime=0), "the body is packed; say so in a header: content-encoding: gzip"),
        (b"[" * 15_000, "the body cannot be read: it is nested too deep"),
        (b"1" * 5_000, "the body cannot be read: Exceeds the limit"),
    ],
    ids=["nothing", "broken", "latin-1", "packed", "deep", "a long number"],
)
def test_a_body_that_cannot_be_read_says_what_is_wrong_with_it(url: str, path: str, body: bytes, words: str) -> None:
    reply = httpx.post(url + path, content=body)

    assert reply.status_code in (400, 422)
    assert words in message(reply)


def test_what_is_no_json_is_refused_as_such_without_a_content_type(url: str) -> None:
    reply = httpx.post(url + TEI, content=b"query=red&texts=fish")

    assert reply.status_code == 400
    assert "JSON" in message(reply)


@pytest.mark.parametrize("path", list(LIST))
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_a_body_may_come_in_gzip(url: str, path: str, encoding: str) -> None:
    body = json.dumps({"query": "red fish", LIST[path]: PASSAGES}).encode()
    packed = gzip.compress(body[:20]) + gzip.compress(body[20:])  # members may follow each other

    reply = httpx.post(url + path, content=packed, headers={"content-encoding": encoding})

    assert reply.status_code == 200, reply.text


def test_gzip_may_come_in_pieces(url: str) -> None:
    packed = gzip.compress(BODY)

    def pieces() -> Iterator[bytes]:
        yield from (packed[at : at + 1] for at in range(len(packed)))

    reply = httpx.post(url + TEI, content=pieces(), headers={"content-encoding": "gzip"})

    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("path", list(LIST))
def test_gzip_that_unpacks_to_more_than_is_allowed_is_refused(url: str, path: str) -> None:
    packed = gzip.compress(b'{"query": "' + b"x" * 20_000_000)
    assert len(packed) < 20_000

    reply = httpx.post(url + path, content=packed, headers={"content-encoding": "gzip"})

    assert reply.status_code == 413
    assert "longer than 20000 bytes" in message(reply)


@pytest.mark.parametrize("path", list(LIST))
@pytest.mark.parametrize(
    "packed", [BODY, gzip.compress(BODY)[:-9], gzip.compress(BODY) + b"more"], ids=["plain", "cut off", "followed"]
)
def test_gzip_that_is_broken_is_refused(url: str, path: str, packed: bytes) -> None:
    reply = httpx.post(url + path, content=packed, headers={"content-encoding": "gzip"})

    assert reply.status_code == 400
    assert "not whole gzip" in message(reply)


@pytest.mark.parametrize("path", list(LIST))
@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "nonsense"])
def test_another_encoding_is_refused_with_the_one_that_is_read(url: str, path: str, encoding: str) -> None:
    reply = httpx.post(url + path, content=BODY, headers={"content-encoding": encoding})

    assert reply.status_code == 415
    assert "send gzip" in message(reply)
    assert reply.headers["accept-encoding"] == "gzip"


def test_memory_is_not_taken_for_what_is_not_read() -> None:
    unpacker = GzipUnpacker()

    found = unpacker.unpack(gzip.compress(b"x" * 50_000_000), 1_001)

    assert found == b"x" * 1_001
