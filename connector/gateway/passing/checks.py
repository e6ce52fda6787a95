"""What a request's head must be before anything goes to the engine, which accepts more than is safe.

Two servers that read one message differently can be made to answer somebody else's request (RFC 9112, 11.2). The
parser, llhttp, refuses the most of that. What is here stands in front of the engine whatever the parser lets by."""

from __future__ import annotations

import re
from collections.abc import Sequence

from connector.gateway.passing.refusals import GatewayRefusal, malformed

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"})
_NO_VALUE = re.compile(rb"[\x00\r\n]")
_NO_NAME = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9A-Za-z]")
_NO_TARGET = re.compile(rb"[\x00-\x20\x7f]")
_MAX_LENGTH_DIGITS = 18  # below 2**63


def check_head(
    method: str, target: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]
) -> GatewayRefusal | None:
    """Why a request is refused; None where it may go on."""
    if method not in METHODS:
        return GatewayRefusal(405, "gateway_method_not_allowed", f"the method {method} is none that an engine answers")
    if not target.startswith(b"/") and (target != b"*" or method != "OPTIONS"):
        return malformed("the request target must start with a slash")
    if _NO_TARGET.search(target):
        return malformed("the request target holds a space or a control character")
    if version not in ("1.1", "1.0"):
        return GatewayRefusal(505, "gateway_version_not_supported", "HTTP/1.1 is spoken here, and HTTP/1.0")
    return _check_fields(version, headers)


def _check_fields(version: str, headers: Sequence[tuple[bytes, bytes]]) -> GatewayRefusal | None:
    hosts, lengths, codings = 0, [], []
    for name, value in headers:
        if not name or _NO_NAME.search(name) or _NO_VALUE.search(value):
            return malformed("a header holds a character that none may hold")
        match name.lower():
            case b"host":
                hosts += 1
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                codings.append(value.lower())
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        return malformed(f"a request names one Host; this one has {hosts}")
    return _check_framing(version, lengths, codings)


def _check_framing(version: str, lengths: Sequence[bytes], codings: Sequence[bytes]) -> GatewayRefusal | None:
    if lengths and codings:
        return malformed("Content-Length and Transfer-Encoding must not come together")
    if len(lengths) > 1:
        return malformed("a request has one Content-Length")
    if lengths and not (lengths[0].isdigit() and len(lengths[0]) <= _MAX_LENGTH_DIGITS):
        return malformed("Content-Length must be a number of bytes, in digits")
    if codings and (codings != [b"chunked"] or version != "1.1"):
        return malformed("the only Transfer-Encoding of a request is chunked, once, in HTTP/1.1")
    return None
