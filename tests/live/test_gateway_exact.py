"""What passes through the gateway is what the engine says, in hundreds of exchanges, but for dates, times and ids."""

from __future__ import annotations

import gzip
import itertools
import re
import socket
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from support.gateway.gateways import WAIT_S, read_reply, running_gateway
from support.indices.scratch import unique_name

from connector.settings.sections import ClusterSettings

JSON = ("Content-Type", "application/json")
LINES = ("Content-Type", "application/x-ndjson")
RED = b'{"query":{"match":{"t":"red"}}}'
HITS = "/{i}/_search?filter_path=hits.hits._id,hits.total,error,status"
SMILE_QUERY = b":)\n\x00\xfa\x84query\xfa\x88match_all\xfa\xfb\xfb\xfb"
CBOR_QUERY = b"\xa1\x65query\xa1\x69match_all\xa0"
# what two replies to the same request differ in
VOLATILE = re.compile(
    rb'("?(?:took|ingest_took|time_in_nanos|creation_date|age_in_millis|timestamp|epoch)"? ?: ?)\d+'
    rb'|("?(?:_id|_node|_scroll_id|pit_id|uuid|index_uuid|ephemeral_id|id)"? ?: ?)"[\w=+/-]{16,}"'
    rb"|(/_doc/|index \[[\w-]+/)[\w-]{20,22}|(byte offset: #)\d+"
)


@dataclass(frozen=True)
class Exchange:
    """A request; `{i}` in target and body is the index: that which is only read, or each side's own."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    is_chunked: bool = False

    def message(self, index: str) -> bytes:
        lines = [f"{self.method} {self.target.replace('{i}', index)} HTTP/1.1", "Host: engine"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        body = None if self.body is None else self.body.replace(b"{i}", index.encode())
        if body is None:
            return "\r\n".join([*lines, "", ""]).encode("latin-1")
        if self.is_chunked:
            half = len(body) // 2 or 1
            parts = [part for part in (body[:half], body[half:]) if part]
            body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
            lines.append("Transfer-Encoding: chunked")
        else:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def made() -> Iterator[Exchange]:
    """An index with documents, by every way that writes."""
    mapping = b'{"settings":{"number_of_shards":1},"mappings":{"properties":{"t":{"type":"text"},"n":{"type":"long"}}}}'
    yield Exchange("PUT", "/{i}", (JSON,), mapping)
    yield Exchange("PUT", "/{i}", (JSON,), mapping)
    for number in range(5):
        body = b'{"t":"red fish %d","n":%d}' % (number, number)
        yield Exchange("PUT", f"/{{i}}/_doc/{number}?refresh=true", (JSON,), body, is_chunked=number % 2 == 1)
    yield Exchange("POST", "/{i}/_doc", (JSON,), b'{"t":"without an id"}')
    yield Exchange("PUT", "/{i}/_create/1", (JSON,), b'{"t":"is there already"}')
    yield Exchange("PUT", "/{i}/_doc/with%2Fslash+plus%20space?refresh", (JSON,), b'{"t":"caf\xc3\xa9"}')
    yield Exchange("GET", "/{i}/_doc/with%2Fslash+plus%20space")
    yield Exchange("POST", "/{i}/_update/2", (JSON,), b'{"doc":{"n":22}}')
    yield Exchange("POST", "/{i}/_update/none", (JSON,), b'{"doc":{"n":22}}')
    yield Exchange("DELETE", "/{i}/_doc/3?refresh=true")
    yield Exchange("DELETE", "/{i}/_doc/3")
    lines = (
        b'{"index":{"_id":"b1"}}\n{"t":"blue"}\n{"delete":{"_id":"none"}}\n{"index":{"_id":"b2"}}\n{"n":"no number"}\n'
    )
    yield Exchange("POST", "/{i}/_bulk?refresh=true", (LINES,), lines)
    yield Exchange("POST", "/{i}/_bulk?refresh=true", (JSON,), lines, is_chunked=True)
    yield Exchange("POST", "/{i}/_bulk", (LINES, ("Content-Encoding", "gzip")), gzip.compress(lines, mtime=0))
    yield Exchange("POST", "/{i}/_bulk", (LINES,), lines.rstrip())
    yield Exchange("POST", "/_bulk", (LINES,), lines)
    yield Exchange("PUT", "/{i}/_mapping", (JSON,), b'{"properties":{"k":{"type":"keyword"}}}')
    yield Exchange("POST", "/_aliases", (JSON,), b'{"actions":[{"add":{"index":"{i}","alias":"{i}-alias"}}]}')
    yield Exchange("POST", "/{i}/_refresh")


def asked() -> Iterator[Exchange]:
    """Requests that change nothing: every verb, encoding, type and spelling, and every error."""
    yield from asked_by_every_verb()
    yield from searches()
    yield from asked_in_every_type()
    yield from asked_in_codings()
    yield from several_searches()
    yield from spelled_paths()
    yield from asked_with_headers()


def asked_by_every_verb() -> Iterator[Exchange]:
    verbs = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
    paths = ("/", "/{i}/_doc/1", "/{i}/_search", "/{i}/_nothing/at/all", "/_cat/nothing", "/{i}/_count", "/a/b/c/d/e/f")
    for verb, path in itertools.product(verbs, paths):
        if path != "/{i}/_doc/1" or verb in ("GET", "HEAD", "OPTIONS"):
            yield Exchange(verb, path)


def searches() -> Iterator[Exchange]:
    """Every parameter and body, right and wrong."""
    yield from (
        Exchange(verb, f"/{{i}}/_search{parameters}", (JSON,), RED, is_chunked)
        for verb in ("GET", "POST")
        for is_chunked in (False, True)
        for parameters in (
            "", "?pretty", "?size=2&from=1", "?filter_path=hits.hits._id", "?typed_keys=true", "?q=t:blue&df=t",
            "?rest_total_hits_as_int=true", "?human&error_trace=true", "?preference=_local", "?nothing=1", "?size=-1",
            "?size=x", "?pretty=x", "?size=1&size=2", "?", "?&&", "?timeout=1s", "?search_type=dfs_query_then_fetch",
            "?routing=a%2Cb+c", "?ignore_unavailable", "?track_total_hits=1", "?_source=t", "?stored_fields=_none_",
        )
    )  # fmt: skip
    bodies = (
        b"", b"{", b"{}", b"[]", b"null", b'{"query":{"match":{"t":"a","t":"b"}}}', b'{"query":{"nothing":{}}}',
        b'{"size":-1}', b'{"size":0,"aggs":{"n":{"terms":{"field":"n"}}}}', b'{"from":9999,"size":9999}', b"\xff\xfe",
        b'{"query":{"match":{"t":{"query":"red fish","operator":"and"}}},"highlight":{"fields":{"t":{}}}}',
        b'{"sort":[{"n":"desc"}],"search_after":[3]}', b'{"knn":{}}', b'{"query":{"match_all":{}},"sort":"_score"}',
        b'{"fields":["t"],"_source":false,"version":true,"seq_no_primary_term":true}',
        b'{"suggest":{"s":{"text":"rad","term":{"field":"t"}}}}', b'{"query":{"ids":{"values":["1"]}}} trailing',
    )  # fmt: skip
    yield from (Exchange("POST", "/{i}/_search", (JSON,), body) for body in bodies)


def asked_in_every_type() -> Iterator[Exchange]:
    types = (
        "application/json", "application/json; charset=utf-8", "application/yaml", "application/cbor", "text/plain",
        "application/smile", "application/vnd.elasticsearch+json;compatible-with=8", "application/x-ndjson", "",
        "application/vnd.elasticsearch+json; compatible-with=9", "application/xml", "*/*", "nonsense",
    )  # fmt: skip
    for kind in types:
        yield Exchange("POST", HITS, (("Content-Type", kind),), RED)
        yield Exchange("POST", HITS, (JSON, ("Accept", kind)), RED)
        yield Exchange("POST", HITS, (("Content-Type", kind), ("Accept", kind)), RED)
        yield Exchange("GET", "/{i}/_doc/1", (("Accept", kind),))
    yield from (
        Exchange(verb, f"/{path}{'&' if '?' in path else '?'}format={kind}", (JSON,) if body else (), body)
        for kind in ("json", "yaml", "cbor", "smile", "nonsense")
        for verb, path, body in (
            ("GET", "{i}/_doc/1", None), ("GET", "_cat/indices/{i}?h=index,docs.count", None),
            ("GET", "none/_doc/1", None), ("POST", "{i}/_search?filter_path=hits.hits._id", RED),
            ("GET", "{i}/_mapping", None),
        )
    )  # fmt: skip
    yield Exchange("POST", HITS, (("Content-Type", "application/smile"),), SMILE_QUERY)
    yield Exchange("POST", HITS, (("Content-Type", "application/cbor"),), CBOR_QUERY)
    yield Exchange("POST", HITS, (("Content-Type", "application/yaml"),), b"---\nquery:\n  match_all: {}\n")
    yield Exchange("GET", "/{i}/_search?source_content_type=application/json&source=%7B%22size%22%3A1%7D")


def asked_in_codings() -> Iterator[Exchange]:
    for coding in ("gzip", "deflate", "gzip, deflate, br", "identity", "*;q=0"):
        yield Exchange("POST", "/{i}/_search", (JSON, ("Accept-Encoding", coding)), RED)
        yield Exchange("GET", "/{i}", (("Accept-Encoding", coding),))
    yield Exchange("POST", HITS, (JSON, ("Content-Encoding", "gzip")), gzip.compress(RED, mtime=0))


def several_searches() -> Iterator[Exchange]:
    lines = b'{"index":"{i}"}\n{"size":1}\n{"index":"none"}\n{}\n{"index":"{i}"}\n{"query":{"match":{"t":"blue"}}}\n'
    yield from (
        Exchange("POST", path, (kind,), body, is_chunked)
        for path in ("/{i}/_msearch", "/_msearch")
        for kind in (LINES, JSON)
        for is_chunked in (False, True)
        for body in (
            lines,
            lines.rstrip(),
            lines.replace(b"\n", b"\r\n"),
            b'\n{"size":0}\n',
            b'{"nothing":1}\n{}\n',
            b"",
        )
    )


def spelled_paths() -> Iterator[Exchange]:
    for path in (
        "/{i}/_search/", "//{i}/_search", "/{i}//_search", "/{i}/../{i}/_search", "/{i}/%2e%2e/{i}/_search",
        "/{i}/_SEARCH", "/{i}/_search%20", "/%7Bi%7D/_search", "/{i}%2C/_search", "/{i}%2C{i}/_search",
        "/{i},{i}-alias/_search", "/%3C{i}%3E/_search", "/%3C{i}-%7Bnow%2Fd%7D%3E/_search", "/{i}*/_search",
        "/{i}-alias/_search", "/{i}/_search?#x", "/{i}/_doc/_search", "/{i};a=b/_search", "/{i}/_search;a=b",
        "/_all/_search?size=0&q=nowhere:x", "/%ff/_search", "/%zz/_search", "/{i}/_search?q=%zz",
        "/{i}/_search?q=%ff", "/{i}/_search?a=b=c", "/?pretty", "/%2F", "/{i}%00/_search", "/-{i}/_search",
        "/{i}/_search?q=a+b%2Bc", "/" + "x" * 5_000, "/{i}?" + "x" * 3_000, "/{i}/_search/template",
        "/_search/scroll", "/_nodes/nothing", "/_render/template", "/{i}/_explain/1", "/_mget",
        "/{i}/_validate/query", "/{i}/_field_caps?fields=t", "/{i}/_termvectors/1", "/{i}/_settings/none",
        "/_xpack/none",
    ):  # fmt: skip
        yield Exchange("GET", path)


def asked_with_headers() -> Iterator[Exchange]:
    opaque = ("X-Opaque-Id", "caf\xe9 1")
    yield Exchange("GET", "/{i}/_doc/1", (opaque, ("traceparent", f"00-{'a' * 32}-{'b' * 16}-01")))
    yield Exchange(
        "GET", "/{i}/_doc/1", (("x-opaque-id", "1"), ("User-Agent", "a/1"), ("x-elastic-client-meta", "es=8.19"))
    )
    yield Exchange("GET", "/{i}/_doc/1", (("Authorization", "Basic bm9ib2R5OnNlY3JldA=="),))
    yield Exchange("GET", "/{i}/_doc/1", (("Origin", "http://elsewhere"), ("Cookie", "a=b")))
    yield Exchange("GET", "/{i}/_doc/1", (("If-None-Match", '"x"'), ("Range", "bytes=0-3")))
    yield Exchange("GET", "/{i}/_doc/1", (("X-Long", "x" * 12_000),))
    yield Exchange("GET", "/{i}/_doc/1", (("X-Long", "x" * 20_000),))
    yield Exchange("GET", "/{i}/_doc/1", (("Accept", "application/json"), ("Accept", "text/plain")))
    yield Exchange("POST", "/_mget", (JSON,), b'{"docs":[{"_index":"{i}","_id":"1"},{"_index":"{i}","_id":"none"}]}')
    yield Exchange("POST", "/{i}/_analyze", (JSON,), b'{"field":"t","text":"The red fish"}')
    yield Exchange("OPTIONS", "/{i}/_search", (("Origin", "http://a"), ("Access-Control-Request-Method", "POST")))


TRIES = 4
ENDED = (Exchange("DELETE", "/{i}"), Exchange("DELETE", "/{i}"), Exchange("GET", "/{i}"))


@dataclass
class Side:
    """One of the two: the engine itself, or the gateway in front of it."""

    port: int
    _open: list[socket.socket] = field(default_factory=list)

    def send(self, exchange: Exchange, index: str) -> tuple[bytes, list[bytes], bytes]:
        """Status line, headers and body, with what is volatile taken out."""
        for _ in range(2):  # an engine closes a connection after some errors
            connection = self._open.pop() if self._open else socket.create_connection(("127.0.0.1", self.port), WAIT_S)
            try:
                connection.sendall(exchange.message(index))
                reply = read_reply(connection, is_head=exchange.method == "HEAD")
            except (BrokenPipeError, ConnectionResetError):
                reply = b""
            if reply:
                break
        head, _, body = reply.partition(b"\r\n\r\n")
        first, *headers = head.split(b"\r\n")
        first = first.partition(b" ")[2]  # Netty says HTTP/1.0 where it could not read the request
        named = {line.partition(b":")[0].lower(): line.partition(b":")[2].strip() for line in headers}
        if b"close" not in named.get(b"connection", b"") and not first.startswith(
            b"400"
        ):  # then it may read nothing more
            self._open.append(connection)
        if b"transfer-encoding" in named:
            body = _without_chunks(body)
        if body and named.get(b"content-encoding") in (b"gzip", b"deflate"):
            body = zlib.decompress(body, wbits=47)
        lines = [_plain(line, index) for line in headers if not line.lower().startswith(b"connection:")]
        return first, [_without_length(line) for line in lines], _plain(body, index)

    def close(self) -> None:
        for connection in self._open:
            connection.close()


def _plain(text: bytes, index: str) -> bytes:
    return VOLATILE.sub(rb"\1\2\3\4*", text).replace(index.encode(), b"INDEX")


def _without_chunks(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        parts.append(rest[: int(size, 16)])
        body = rest[int(size, 16) + 2 :]
    return b"".join(parts)


def _without_length(header: bytes) -> bytes:
    """A time of two digits makes a longer body than one of one."""
    name, _, _ = header.partition(b":")
    return name if name.lower() == b"content-length" else header


@pytest.fixture
def sides(engine: ClusterSettings) -> Iterator[tuple[Side, Side]]:
    with running_gateway(engine.url) as gateway:
        direct, through = Side(urlsplit(engine.url).port or 9200), Side(gateway.port)
        yield direct, through
        direct.close()
        through.close()


def test_there_are_several_hundred() -> None:
    assert len([*made(), *asked(), *ENDED]) > 350


def test_pass_through_is_exact(
    sides: tuple[Side, Side], engine: ClusterSettings, request: pytest.FixtureRequest
) -> None:
    """In full on the newest of each engine; every fourth on the older ones. What writes has an index on each side."""
    is_newest = request.node.callspec.params["engine"] in ("es9", "os3")
    (direct, through), name = sides, unique_name()
    read, wrong = list(asked())[:: 1 if is_newest else 4], []
    each_its_own = ((f"{name}-a", f"{name}-b"),) * len(exchanges := [*made()])
    the_same = ((f"{name}-a", f"{name}-a"),) * len(read)
    end = ((f"{name}-a", f"{name}-b"),) * len(ENDED)
    for exchange in read:
        if (exchange.body or b"").startswith(b"\n"):
            direct.send(exchange, f"{name}-a")  # OpenSearch warns once of what is deprecated
    for exchange, (first, second) in zip([*exchanges, *read, *ENDED], each_its_own + the_same + end, strict=True):
        for _ in range(TRIES if first == second else 1):  # a refresh or a merge may have come in between
            replies = direct.send(exchange, first), through.send(exchange, second)
            if replies[0] == replies[1]:
                break
        else:
            wrong.append(f"{exchange}\n  direct: {replies[0]}\n  through: {replies[1]}")

    assert not wrong, f"{len(wrong)} of {len(exchanges) + len(read)} differ:\n" + "\n".join(wrong)
