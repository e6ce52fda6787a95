"""Media types and content codings: which requests are plain JSON, and what the requests of ours are sent with."""

from __future__ import annotations

import gzip
import io
import re
import zlib

from connector.gateway.exchange import RERANK_KEY, Headers
from connector.gateway.reading.not_recognised import NotRecognised

JSON = re.compile(r"application/(?:json|vnd\.elasticsearch\+json)", re.IGNORECASE)
LINES = re.compile(r"application/(?:x-ndjson|vnd\.elasticsearch\+x-ndjson)", re.IGNORECASE)
PLAIN_ACCEPT = frozenset({"*/*", "application/*"})
# of the caller's headers, what is about the body that it sent, or about our own
NOT_SENT_ON = frozenset(
    {b"content-length", b"content-encoding", b"accept-encoding", b"transfer-encoding", b"expect", RERANK_KEY}
)


def header(headers: Headers, name: bytes) -> str | None:
    """The value of a header; None where there is none. Raises NotRecognised where there are several."""
    values = [value for key, value in headers if key.lower() == name]
    if len(values) > 1:
        raise NotRecognised(f"several headers {name.decode()}")
    return values[0].decode("latin-1").strip() if values else None


def check_media(headers: Headers, *, has_body: bool, lines: bool) -> None:
    """Nothing, for a request that is sent and answered as JSON. Raises NotRecognised."""
    content = header(headers, b"content-type")
    if content is None and has_body:
        raise NotRecognised("no content type")
    if content is not None:
        kind = _kind(content)
        if not (JSON.fullmatch(kind) or (lines and LINES.fullmatch(kind))):
            raise NotRecognised("content type")
    accept = header(headers, b"accept")
    if accept is None or not accept:
        return
    kinds = [_kind(part) for part in accept.split(",")]
    if kinds[0] not in PLAIN_ACCEPT and not JSON.fullmatch(kinds[0]) and not (lines and LINES.fullmatch(kinds[0])):
        raise NotRecognised("accept")


def read_body(headers: Headers, body: bytes, *, limit: int) -> bytes:
    """The body, decoded. Raises NotRecognised for codings other than gzip, and for what is larger than `limit`."""
    coding = header(headers, b"content-encoding")
    if coding is None or coding.lower() == "identity":
        return body
    if coding.lower() != "gzip":
        raise NotRecognised("content encoding")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
            found = packed.read(limit + 1)
    except (OSError, EOFError, zlib.error):
        raise NotRecognised("content encoding") from None
    if len(found) > limit:
        raise NotRecognised("too large")
    return found


def headers_of_ours(headers: Headers) -> Headers:
    """The caller's headers for a request of ours, whose body is JSON: all of them but those about the body.

    Elasticsearch refuses a content type of one family beside an `Accept` of the other, so neither is rewritten; where
    the caller sent no body, and so no type, it is that of `Accept`."""
    kept = tuple((key, value) for key, value in headers if key.lower() not in NOT_SENT_ON)
    if any(key.lower() == b"content-type" for key, _ in kept):
        return kept
    accept = header(headers, b"accept") or ""
    first = accept.split(",")[0].strip()
    kind = first if "vnd." in first.lower() and JSON.fullmatch(_kind(first)) else "application/json"
    return (*kept, (b"content-type", kind.encode("latin-1")))


def _kind(value: str) -> str:
    return value.partition(";")[0].strip().lower()
