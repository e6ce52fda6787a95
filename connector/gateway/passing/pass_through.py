"""A request on its way to the engine, and the reply on its way back, each as it comes: nothing is kept whole."""

from __future__ import annotations

import asyncio

from connector.gateway.exchange import Headers, UpstreamAway
from connector.gateway.passing.caller_request import CallerMessage, CallerRequest, Receive, Send
from connector.gateway.passing.headers import LAST_CHUNK, Forwarding, Pairs, chunk, exposed, reply_headers
from connector.gateway.passing.node_connection import NodeConnection
from connector.gateway.passing.nodes import Node
from connector.gateway.passing.upstream import UpstreamEngine, lent


class PassThrough:
    """The way of what passes through."""

    def __init__(self, engine: UpstreamEngine, forwarding: Forwarding) -> None:
        self._engine, self._forwarding = engine, forwarding

    async def take(
        self,
        request: CallerRequest,
        receive: Receive,
        send: Send,
        *,
        read: CallerMessage | None = None,
        note: Headers = (),
    ) -> None:
        """`read`: what was read of the body already; `note`: headers that the reply gets from us."""
        headers = self._forwarding.headers(request.headers, request.peer)
        if not request.has_body:
            read = {"body": b"", "more_body": False}
        elif read is None:
            read = await receive()
            if read["type"] == "http.disconnect":
                return
        if read["more_body"]:
            await self._stream(request, headers, receive, send, read["body"], note)
            return
        body = read["body"]
        if request.is_chunked:
            body = chunk(body) + LAST_CHUNK if body else LAST_CHUNK
        node, connection = await self._engine.ask(
            request.method, request.target, headers, body, is_chunked=request.is_chunked
        )
        with lent(node, connection):
            await _relay(connection, send, note)

    async def _stream(
        self, request: CallerRequest, headers: Pairs, receive: Receive, send: Send, begun: bytes, note: Headers
    ) -> None:
        """The reply may come before the body has gone: the engine refuses it, or answers while it reads."""
        node, connection, _ = await self._engine.open(request.method)
        uploading = asyncio.create_task(self._upload(node, connection, request, headers, receive, begun))
        with lent(node, connection):
            try:
                await _relay(connection, send, note)
            finally:
                if not uploading.done():
                    uploading.cancel()
                    connection.can_be_kept = False

    async def _upload(
        self,
        node: Node,
        connection: NodeConnection,
        request: CallerRequest,
        headers: Pairs,
        receive: Receive,
        begun: bytes,
    ) -> None:
        """Closes the connection where the body cannot go to its end, so that the engine does not wait for it."""
        is_chunked, more, is_sent = request.is_chunked, True, False
        frame = chunk if is_chunked else bytes
        head = self._engine.head(node, request.method, request.target, headers, is_chunked=is_chunked)
        try:
            await connection.write(head + frame(begun) if begun else head)
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body, more = message["body"], message["more_body"]
                if body:
                    await connection.write(frame(body))
            if is_chunked:
                await connection.write(LAST_CHUNK)
            is_sent = True
        except UpstreamAway:
            pass  # who waits for the reply is told
        finally:
            if not is_sent:
                connection.close()


async def _relay(connection: NodeConnection, send: Send, note: Headers) -> None:
    head = await connection.reply()
    headers = reply_headers(head.headers)
    for name, value in note:
        headers = exposed([*headers, (name, value)], name)
    start = {"type": "http.response.start", "status": head.status, "reason": head.reason, "headers": headers}
    await send(start)
    more = True
    while more:
        data = await connection.read()
        more = not connection.is_whole
        await send({"type": "http.response.body", "body": data, "more_body": more})
