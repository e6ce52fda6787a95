"""The gateway as an ASGI application: a request is answered in the engine's place, or passes through."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson

from connector.gateway.exchange import (
    RERANK_HEADER,
    RERANK_KEY,
    BufferedReply,
    BufferedRequest,
    Interception,
    Interceptor,
    NotIntercepted,
    UpstreamAway,
)
from connector.gateway.outcomes import Outcomes
from connector.gateway.passing.caller_request import CallerMessage, CallerRequest, Receive, Send
from connector.gateway.passing.headers import Forwarding, exposed, reply_headers, without_framing
from connector.gateway.passing.nodes import ConnectTimeout
from connector.gateway.passing.pass_through import PassThrough
from connector.gateway.passing.refusals import JSON_TYPE, GatewayRefusal
from connector.gateway.passing.upstream import UpstreamEngine
from connector.gateway.spans import SearchSpans
from connector.settings.gateway import GatewaySettings

OWN = b"/_gateway/"  # no engine has an index or an endpoint that begins so
READY_S = 2.0
log = logging.getLogger(__name__)


class Gateway:
    """For the connections of `CallerConnection`, whose requests keep their bytes."""

    def __init__(
        self,
        settings: GatewaySettings,
        engine: UpstreamEngine,
        interceptor: Interceptor | None,
        outcomes: Outcomes | None = None,
        spans: SearchSpans | None = None,
    ) -> None:
        self._settings, self._engine, self._interceptor = settings, engine, interceptor
        self._outcomes = outcomes or Outcomes()
        self._spans = spans or SearchSpans(None)
        self._forwarding = Forwarding(settings.trusted_proxies)
        self._pass_through = PassThrough(engine, self._forwarding)
        self._has_warned_of_sniffing = False

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        request: CallerRequest = scope["extensions"]["gateway"]
        raw_path: bytes = scope["raw_path"]
        try:
            if raw_path.startswith(OWN):
                await _send_whole(send, await self._own_page(raw_path))
            elif self._interceptor is not None and self._interceptor.wants(request.method, raw_path):
                await self._intercept(self._interceptor, scope, request, receive, send)
            else:
                if raw_path.startswith(b"/_nodes"):
                    self._warn_of_sniffing(raw_path)
                await self._pass_through.take(request, receive, send)
        except UpstreamAway as away:
            if request.has_started:
                log.warning("%s; the caller's connection was cut off", away)
                request.cut_off()
            else:
                await _send_whole(send, _away(away))

    async def _intercept(
        self, interceptor: Interceptor, scope: dict[str, Any], request: CallerRequest, receive: Receive, send: Send
    ) -> None:
        raw_path: bytes = scope["raw_path"]
        limit = self._limit(raw_path)
        read = await _read_up_to(limit, request, receive)
        headers = without_framing(self._forwarding.headers(request.headers, request.peer))
        with self._spans.search(request.method, raw_path, headers) as span:
            if read["more_body"] or len(read["body"]) > limit:
                outcome: Interception = NotIntercepted("too-large")
            else:
                buffered = BufferedRequest(
                    request.method, raw_path, scope["query_string"], span.within(headers), read["body"]
                )
                outcome = await self._answer(interceptor, buffered)
            self._outcomes.count(outcome)
            if isinstance(outcome, BufferedReply):
                done = next((value for name, value in outcome.headers if name.lower() == RERANK_KEY), b"")
                span.say(done, outcome.status)
                await _send_whole(send, outcome)
                return
            done = b"passed;reason=" + outcome.reason.encode("ascii", "replace")
            span.say(done)
            await self._pass_through.take(request, receive, send, read=read, note=((RERANK_HEADER, done),))

    async def _answer(self, interceptor: Interceptor, request: BufferedRequest) -> Interception:
        """The gateway fails open: a fault of ours is no reason for an error while the engine answers."""
        try:
            return await interceptor.answer(request, self._engine)
        except UpstreamAway:
            return NotIntercepted("engine-away")
        except Exception:  # whatever it is, the engine can answer
            log.exception("a fault of the gateway; the search passed through")
            return NotIntercepted("fault")

    def _limit(self, raw_path: bytes) -> int:
        is_multi = raw_path.removesuffix(b"/").endswith(b"_msearch")
        return self._settings.max_msearch_bytes if is_multi else self._settings.max_search_bytes

    async def _own_page(self, raw_path: bytes) -> BufferedReply:
        match raw_path.removeprefix(OWN):
            case b"health":
                return _page(200, status="serving")
            case b"ready":
                return await self._ready()
        return GatewayRefusal(
            404, "gateway_no_such_page", "the gateway has /_gateway/health and /_gateway/ready"
        ).reply()

    async def _ready(self) -> BufferedReply:
        try:
            async with asyncio.timeout(READY_S):
                await self._engine.send(BufferedRequest("HEAD", b"/", b"", (), b""))
        except (UpstreamAway, TimeoutError) as error:
            return _page(503, status="waiting", reason=str(error) or f"the engine did not answer within {READY_S:g} s")
        return _page(200, status="ready")

    def _warn_of_sniffing(self, raw_path: bytes) -> None:
        if not self._has_warned_of_sniffing and b"http" in raw_path.split(b"/"):
            self._has_warned_of_sniffing = True
            log.warning(
                "a client asks for the addresses of the nodes (_nodes/http) and will go past the gateway; "
                "switch sniffing off in it (sniff_on_start, sniff_on_node_failure)"
            )


async def _read_up_to(limit: int, request: CallerRequest, receive: Receive) -> CallerMessage:
    """The body, or where it is longer than `limit`, what has come of it."""
    if not request.has_body:
        return {"body": b"", "more_body": False}
    if request.length is not None and request.length > limit:
        return await receive()
    read = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        read += message["body"]
        if not message["more_body"] or len(read) > limit:
            return {"type": "http.request", "body": bytes(read), "more_body": message["more_body"]}


async def _send_whole(send: Send, reply: BufferedReply) -> None:
    headers = [pair for pair in reply_headers(reply.headers) if pair[0].lower() not in _FRAMING]
    headers.append((b"content-length", b"%d" % len(reply.body)))
    start = {"type": "http.response.start", "status": reply.status, "headers": exposed(headers, RERANK_HEADER)}
    await send(start)
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})


_FRAMING = (b"content-length", b"transfer-encoding")


def _away(away: UpstreamAway) -> BufferedReply:
    """In the shape of the engine's errors; its clients try again on both."""
    status = 504 if isinstance(away, ConnectTimeout) else 502
    return GatewayRefusal(
        status, "gateway_engine_unavailable", f"the gateway has no answer of the engine: {away}"
    ).reply()


def _page(code: int, **facts: str) -> BufferedReply:
    return BufferedReply(code, (JSON_TYPE,), orjson.dumps(facts))
