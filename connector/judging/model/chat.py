"""A language model behind an OpenAI-compatible endpoint: messages go out, a text comes back, and nothing in a reply is
believed unchecked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from connector.errors import EndpointError, EndpointUnavailable
from connector.retries import Retry, read_retry_after
from connector.tls import trust_for

ATTEMPTS = 6
FIRST_PAUSE_S = 1.0
SHOWN_CHARS = 300
LATER = frozenset({408, 409, 425, 429})  # and all from 500


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What the model said, how its answer ended (stop, length, content_filter, ...), and the tokens that the endpoint
    counted; None where it counts none."""

    text: str
    finish: str
    tokens_in: int | None = None
    tokens_out: int | None = None


class ChatEndpoint:
    """Asks one model. To be closed."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        parameters: Mapping[str, Any],
        api_key: str | None = None,
        ca_cert: str | None = None,
        timeout_s: float,
        attempts: int = ATTEMPTS,
        first_pause_s: float = FIRST_PAUSE_S,
        on_retry: Callable[[Exception, float], None] = lambda error, wait_s: None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`parameters` go into each request as they are: temperature and the like.

        Raises SettingsError for a `ca_cert` that is no PEM file."""
        self.url = url.rstrip("/")
        self._body = {"model": model, **parameters}
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            transport=transport,
            trust_env=False,  # queries and passages go to the endpoint, not to a proxy that the environment names
            verify=trust_for(self.url, ca_cert, setting="judge.ca_cert"),
            headers={"authorization": f"Bearer {api_key}"} if api_key else None,
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=None),
        )
        self._retry = Retry((EndpointUnavailable,), attempts, first_pause_s, on_retry=on_retry)

    async def ask(self, messages: Sequence[Mapping[str, str]]) -> ChatReply:
        """The model's answer; what may work later is tried again, as long as the endpoint asks to wait.

        Raises EndpointError."""
        return await self._retry.run(lambda: self._ask(messages))

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, messages: Sequence[Mapping[str, str]]) -> ChatReply:
        try:
            reply = await self._client.post(f"{self.url}/chat/completions", json={**self._body, "messages": messages})
        except httpx.TimeoutException as error:
            raise EndpointUnavailable(f"{self.url} did not answer within {self._timeout_s:g} s") from error
        except httpx.ConnectError as error:
            if "SSL" in str(error):
                raise EndpointError(f"no TLS with {self.url} ({error}); is its CA the one in judge.ca_cert?") from error
            raise EndpointUnavailable(f"nothing answers at {self.url} ({error}); is the model being served?") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise EndpointError(f"judge.url {self.url!r} is no address ({error}); give https://HOST/v1") from error
        except httpx.HTTPError as error:
            raise EndpointUnavailable(f"{self.url} broke off ({error or type(error).__name__})") from error
        self._require_ok(reply)
        return _read(reply, self.url)

    def _require_ok(self, reply: httpx.Response) -> None:
        """Raise EndpointError for a refusal, EndpointUnavailable where the same may work later."""
        status = reply.status_code
        if status == 200:
            return
        reason = f"{self.url} refused (HTTP {status}): {_reason(reply)}"
        if status in LATER or status >= 500:
            raise EndpointUnavailable(
                reason, status=status, retry_after_s=read_retry_after(reply.headers.get("retry-after"))
            )
        raise EndpointError(f"{reason}{_advice(status)}", status=status)


def _advice(status: int) -> str:
    match status:
        case 401 | 403:
            return "; set the endpoint's key in CONNECTOR_JUDGE_API_KEY"
        case 404:
            return "; is the address the one up to /v1, and the model one that it serves?"
        case 400 | 422:
            return "; a parameter that the model does not take is left out with --body '{\"NAME\": null}'"
        case _:
            return ""


def _read(reply: httpx.Response, url: str) -> ChatReply:
    """The first choice of a reply. Raises EndpointError where it has none."""
    body = None
    try:
        body = reply.json()
        choice = body["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise EndpointError(
            f"{url} answered with something that is no chat completion ({reply.text[:SHOWN_CHARS]!r}); is the address "
            "the one up to /v1 of an OpenAI-compatible endpoint?",
            status=reply.status_code if isinstance(body, dict) else None,
        ) from error
    finish = "content_filter" if refusal else str(choice.get("finish_reason") or "stop")
    usage = body.get("usage") if isinstance(body.get("usage"), dict) else {}
    return ChatReply(
        text if isinstance(text, str) else "",
        finish,
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _reason(reply: httpx.Response) -> str:
    """The endpoint's own words."""
    try:
        body = reply.json()
    except (ValueError, RecursionError):
        return reply.text[:SHOWN_CHARS]
    reason = body.get("error") or body.get("message") or body.get("detail") or body if isinstance(body, dict) else body
    return str(reason.get("message", reason) if isinstance(reason, dict) else reason)[:SHOWN_CHARS]
