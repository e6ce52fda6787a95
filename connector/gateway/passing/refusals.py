"""What the gateway refuses or cannot do, in the shape that the engine's own errors have, which its clients read."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import orjson

from connector.gateway.exchange import BufferedReply

JSON_TYPE = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class GatewayRefusal:
    """Why a request goes no further. Its connection is closed where `status` is a client's error."""

    status: int
    kind: str
    reason: str

    def reply(self) -> BufferedReply:
        cause = {"type": self.kind, "reason": self.reason}
        error = {"error": {"root_cause": [cause], **cause}, "status": self.status}
        return BufferedReply(self.status, (JSON_TYPE,), orjson.dumps(error))

    def message(self, *, is_head: bool = False) -> bytes:
        """A whole reply, after which the connection is closed."""
        reply = self.reply()
        lines = [b"HTTP/1.1 %d %s" % (self.status, HTTPStatus(self.status).phrase.encode())]
        lines += [name + b": " + value for name, value in reply.headers]
        lines += [
            b"content-length: %d" % len(reply.body),
            b"connection: close",
            b"",
            b"" if is_head else reply.body,
        ]
        return b"\r\n".join(lines)


def malformed(reason: str) -> GatewayRefusal:
    return GatewayRefusal(400, "gateway_malformed_request", reason)
