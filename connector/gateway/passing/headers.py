"""Which headers go on, and how a message's head is written. Names keep their case, values their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Pairs = Sequence[tuple[bytes, bytes]]

# of one connection only (RFC 9110, 7.6.1); framing is written anew
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"proxy-connection")
) | {b"proxy-authorization", b"proxy-authenticate"}
NO_BODY = frozenset({204, 304})  # statuses of replies that have none, whatever their headers say
# what engines believe of a proxy that they trust: whom it has authenticated, and where the request came from
CLAIMED = b"x-proxy-"
FORWARDED_FOR = b"x-forwarded-for"
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}


class Forwarding:
    """Which headers of a caller go on to the engine."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted: list[IPv4Network | IPv6Network] = [ip_network(text, strict=False) for text in trusted_proxies]
        self._trusts: dict[str, bool] = {}

    def headers(self, given: Pairs, peer: str) -> list[tuple[bytes, bytes]]:
        """Those of a request from `peer`, with its address in x-forwarded-for; the caller's length is among them."""
        is_trusted = bool(self._trusted and peer) and self.is_trusted(peer)
        dropped, claimed = HOP_BY_HOP, b""
        kept: list[tuple[bytes, bytes]] = []
        for pair in given:
            name = pair[0].lower()
            if name == b"connection":
                dropped = dropped | named_by(pair[1])
            elif name == FORWARDED_FOR:
                claimed = claimed + b", " + pair[1] if claimed else pair[1]
            elif name == b"expect" and pair[1].lower() == b"100-continue":
                continue  # which the server part answers
            elif name.startswith(CLAIMED) and not is_trusted:
                continue  # else anybody could say who they are
            elif name not in HOP_BY_HOP:
                kept.append(pair)
        if dropped is not HOP_BY_HOP:
            kept = [pair for pair in kept if pair[0].lower() not in dropped]
        if peer:
            seen = peer.encode("latin-1")
            kept.append((FORWARDED_FOR, claimed + b", " + seen if is_trusted and claimed else seen))
        return kept

    def is_trusted(self, peer: str) -> bool:
        if peer not in self._trusts:
            if len(self._trusts) > 10_000:
                self._trusts.clear()
            self._trusts[peer] = any(_address(peer) in network for network in self._trusted)
        return self._trusts[peer]


def _address(peer: str) -> IPv4Address | IPv6Address:
    address = ip_address(peer.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def named_by(connection: bytes) -> frozenset[bytes]:
    """The headers that a Connection header names. Host, and what frames the body, stay whatever it says."""
    named = {token.strip().lower() for token in connection.split(b",")}
    return frozenset(named - {b"host", b"content-length"})


def reply_headers(given: Pairs) -> list[tuple[bytes, bytes]]:
    """Those of an engine's reply that go to the caller, its framing among them."""
    dropped = HOP_BY_HOP - {b"transfer-encoding"}
    for name, value in given:
        if name.lower() == b"connection":
            dropped = dropped | named_by(value)
    return [pair for pair in given if pair[0].lower() not in dropped]


def with_host(given: Pairs, host: bytes) -> list[tuple[bytes, bytes]]:
    """The same with this Host, in the place of the caller's."""
    rest = [pair for pair in given if pair[0].lower() != b"host"]
    return [(b"Host", host), *rest]


def has_host(given: Pairs) -> bool:
    return any(len(name) == 4 and name.lower() == b"host" for name, _ in given)


def exposed(headers: list[tuple[bytes, bytes]], name: bytes) -> list[tuple[bytes, bytes]]:
    """A reply's headers, and where the engine lets a page of another origin read it, leave for this one of ours too."""
    lower = {header.lower() for header, _ in headers}
    if b"access-control-allow-origin" not in lower or name.lower() not in lower:
        return headers
    return [*headers, (b"Access-Control-Expose-Headers", name)]


def without_framing(given: Pairs) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(pair for pair in given if pair[0].lower() not in (b"content-length", b"transfer-encoding"))


def request_head(method: str, target: bytes, headers: Pairs, *, is_chunked: bool) -> bytes:
    lines = [b"%s %s HTTP/1.1\r\n" % (method.encode("ascii"), target)]
    lines += [b"%s: %s\r\n" % pair for pair in headers]
    lines.append(b"Transfer-Encoding: chunked\r\n\r\n" if is_chunked else b"\r\n")
    return b"".join(lines)


def status_line(status: int, reason: bytes) -> bytes:
    """`reason` as the engine words it; the usual one where it is empty."""
    if reason or status not in _STATUS_LINES:
        return b"HTTP/1.1 %d %s\r\n" % (status, reason)
    return _STATUS_LINES[status]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
