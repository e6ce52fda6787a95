"""Our own checks of a head, whatever the parser in front of them lets by."""

from __future__ import annotations

import pytest

from connector.gateway.passing.checks import check_head

HOST_HEADER = (b"Host", b"h")


def test_a_plain_head_may_go_on() -> None:
    assert check_head("GET", b"/a%2Fb?x=<y>", "1.1", [HOST_HEADER, (b"X-Any", b"caf\xe9")]) is None
    assert check_head("GET", b"/", "1.0", []) is None
    assert check_head("OPTIONS", b"*", "1.1", [HOST_HEADER]) is None
    assert check_head("POST", b"/", "1.1", [HOST_HEADER, (b"content-LENGTH", b"12")]) is None
    assert check_head("POST", b"/", "1.1", [HOST_HEADER, (b"Transfer-Encoding", b"Chunked")]) is None


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "names one Host; this one has 0"),
        ([HOST_HEADER, (b"HOST", b"h")], "names one Host; this one has 2"),
        ([HOST_HEADER, (b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")], "must not come together"),
        ([HOST_HEADER, (b"Content-Length", b"1"), (b"Content-Length", b"1")], "one Content-Length"),
        ([HOST_HEADER, (b"Content-Length", b"+1")], "in digits"),
        ([HOST_HEADER, (b"Content-Length", b"1" * 19)], "in digits"),
        ([HOST_HEADER, (b"Content-Length", "١".encode())], "in digits"),
        ([HOST_HEADER, (b"Transfer-Encoding", b"chunked, identity")], "is chunked, once"),
        ([HOST_HEADER, (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")], "is chunked, once"),
        ([HOST_HEADER, (b"X ", b"1")], "a character that none may hold"),
        ([HOST_HEADER, (b"", b"1")], "a character that none may hold"),
        ([HOST_HEADER, (b"X", b"a\r\nY: b")], "a character that none may hold"),
        ([HOST_HEADER, (b"X", b"a\x00")], "a character that none may hold"),
    ],
)
def test_a_header_that_two_servers_could_read_in_two_ways_is_refused(
    headers: list[tuple[bytes, bytes]], reason: str
) -> None:
    refusal = check_head("POST", b"/", "1.1", headers)

    assert refusal is not None
    assert (refusal.status, reason in refusal.reason) == (400, True)


@pytest.mark.parametrize(
    ("method", "target", "version", "status"),
    [
        ("BREW", b"/", "1.1", 405),
        ("CONNECT", b"h:1", "1.1", 405),
        ("GET", b"*", "1.1", 400),
        ("GET", b"", "1.1", 400),
        ("GET", b"http://h/", "1.1", 400),
        ("GET", b"/a b", "1.1", 400),
        ("GET", b"/a\r\nb", "1.1", 400),
        ("GET", b"/", "2.0", 505),
        ("GET", b"/", "0.9", 505),
    ],
)
def test_a_request_line_that_no_engine_answers_is_refused(
    method: str, target: bytes, version: str, status: int
) -> None:
    refusal = check_head(method, target, version, [HOST_HEADER])

    assert refusal is not None
    assert refusal.status == status


def test_chunked_belongs_to_http_1_1() -> None:
    assert check_head("POST", b"/", "1.0", [HOST_HEADER, (b"Transfer-Encoding", b"chunked")]) is not None
