"""The worker from the caller's side: pairs go out, scores come back, and nothing in a reply is believed unchecked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
from numpy.typing import NDArray

from connector.errors import WorkerError
from connector.headers import BUDGET, FRESH, KIND, SCOPE, TRUNCATED, UNSCORED, read_positions
from connector.models.scorer import QueryWeights
from connector.remote.replies import read_json, require_ok, sending
from connector.rerankers.pace import Pace, PacedSearch, read_load
from connector.rerankers.protocol import RerankerInfo, RerankScores
from connector.tls import trust_for
from connector.trace_context import trace_headers

INFO_TTL_S = 30.0
BUDGET_SHARE = 0.9  # of the time until the caller gives up: the rest is for the way back
MAX_BUDGET_S = 86_400.0  # a day; the header takes no number without end
MAX_WEIGHTS = 2_000  # the worker takes no more; no model reads so many words of a query
LOAD_S = 0.05  # after which the worker is asked how busy it is, before it is asked for scores
NEWS_SHARE = 0.1  # of the time for the scores that this may take
MAX_SCORE = float(np.finfo(np.float32).max)


class WorkerClient:
    """A rerank server that speaks TEI's /rerank: our worker, or any other."""

    def __init__(
        self,
        url: str,
        *,
        name: str = "local",
        model: str | None = None,
        api_key: str | None = None,
        ca_cert: str | None = None,
        fresh: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`name` is what the settings call it; `model` is which of its rerankers, None: its first. `fresh`: no score is
        to come from the worker's memory.

        Raises SettingsError for a `ca_cert` that is no PEM file."""
        self.url = url.rstrip("/")
        self._section = f"rerankers.{name}"
        self._model = model
        self._memory = FRESH if fresh else {}
        self._client = httpx.AsyncClient(
            transport=transport,
            trust_env=False,  # queries and passages go to the worker, not to a proxy that the environment names
            verify=trust_for(self.url, ca_cert, setting=f"{self._section}.ca_cert"),
            headers={"authorization": f"Bearer {api_key}"} if api_key else None,
        )
        self._pace = Pace()
        self._asking_news = asyncio.Lock()
        self._info: RerankerInfo | None = None
        self._info_until = 0.0
        self._no_news_until = 0.0

    def expect(self, *, timeout_s: float) -> WorkerTurn:
        """For a search that will ask for scores within the time; to be closed when it has them."""
        return WorkerTurn(self, self._pace.turn(timeout_s))

    async def room(self, turn: PacedSearch, passages: Sequence[str], *, least: int, timeout_s: float) -> int:
        """How many of the passages a turn may ask for, by what the worker said last, or just now."""
        await self._ask_news(timeout_s * NEWS_SHARE)
        return self._pace.fit(turn, [len(text) for text in passages], least=least, timeout_s=timeout_s)

    async def info(self, *, timeout_s: float) -> RerankerInfo:
        """The worker's own description, remembered for half a minute. Raises WorkerError."""
        if self._info is None or time.monotonic() > self._info_until:
            body = read_json(await self._send("GET", self._info_path, timeout_s=timeout_s), self.url)
            if not isinstance(body, dict):
                raise WorkerError(f"{self.url}/info gave no object; is a rerank worker running there?")
            self._info = RerankerInfo(
                str(body.get("kind", "cross-encoder")), str(body.get("model_id", "")), str(body.get("fingerprint", ""))
            )
            self._info_until = time.monotonic() + INFO_TTL_S
        return self._info

    async def rerankers(self, *, timeout_s: float) -> tuple[str, ...]:
        """The names of its rerankers, the first one first; none where the server has no list. Raises WorkerError."""
        try:
            body = read_json(await self._send("GET", "/v1/models", timeout_s=timeout_s), self.url)
        except WorkerError as error:
            if error.status in (404, 405):
                return ()
            raise
        listed = body.get("data") if isinstance(body, dict) else None
        models = [model for model in listed if isinstance(model, dict)] if isinstance(listed, list) else []
        return tuple(str(model.get("id", "")) for model in models if model.get("task", "rerank") == "rerank")

    async def score(
        self,
        query: str,
        passages: Sequence[str],
        *,
        weights: QueryWeights | None = None,
        scope: str = "",
        timeout_s: float,
    ) -> RerankScores:
        """Scores of the pairs, as many as there is time for. What it remembers of them serves this `scope` only.

        Raises WorkerError for a refusal, a late answer, and an answer that cannot be right."""
        body: dict[str, Any] = {"query": query, "texts": list(passages), "raw_scores": True}
        if self._model:
            body["model"] = self._model
        if weights:
            body["query_weights"] = [list(span) for span in weights[:MAX_WEIGHTS]]
        headers = (
            {BUDGET: f"{min(max(timeout_s, 0), MAX_BUDGET_S) * BUDGET_SHARE * 1000:.0f}"}
            | ({SCOPE: scope} if scope else {})
            | self._memory
        )
        with self._pace.metered([len(text) for text in passages]):
            reply = await self._send("POST", "/rerank", body=body, headers=headers, timeout_s=timeout_s)
        partial = UNSCORED in reply.headers
        values = _read_scores(read_json(reply, self.url), len(passages), self.url, partial=partial)
        return RerankScores(
            values, read_positions(reply.headers.get(TRUNCATED)), reply.headers.get(KIND, "cross-encoder")
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(
        self, method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None, timeout_s: float
    ) -> httpx.Response:
        limit_s, headers = max(timeout_s, 0.001), {**(headers or {}), **trace_headers()}
        with sending(self.url, section=self._section, timeout_s=timeout_s):
            reply = await self._client.request(method, self.url + path, json=body, headers=headers, timeout=limit_s)
        self._hear(reply)
        require_ok(reply, self.url)
        return reply

    @property
    def _info_path(self) -> str:
        return "/info" + (f"?{urlencode({'model': self._model})}" if self._model else "")

    async def _ask_news(self, limit_s: float) -> None:
        """Hear of the worker where the last that was heard is old; of one that says nothing, not again so soon."""
        async with self._asking_news:
            if self._pace.silent_s < LOAD_S or time.monotonic() < self._no_news_until:
                return
            try:
                reply = await self._send("HEAD", self._info_path, timeout_s=limit_s)
                is_mute = read_load(reply.headers) is None
            except WorkerError:
                is_mute = True  # what is wrong, the request for scores will say
            if is_mute:
                self._no_news_until = time.monotonic() + INFO_TTL_S

    def _hear(self, reply: httpx.Response) -> None:
        """What a reply says of the worker. A refusal by something in front of it says nothing."""
        load = read_load(reply.headers)
        if load or reply.status_code == 200:
            self._pace.hear(load)


class WorkerTurn:
    """A search that will ask the worker for scores."""

    def __init__(self, client: WorkerClient, turn: PacedSearch) -> None:
        self._client, self._turn = client, turn
        self.close = turn.close

    async def room(self, passages: Sequence[str], *, least: int, timeout_s: float) -> int:
        return await self._client.room(self._turn, passages, least=least, timeout_s=timeout_s)


def _read_scores(body: Any, count: int, url: str, *, partial: bool) -> NDArray[np.float32]:
    """The scores by their index; some may be missing where the reply is `partial`."""
    values = np.full(count, np.nan, dtype=np.float32)
    if not isinstance(body, list) or len(body) > count or (len(body) < count and not partial):
        raise WorkerError(
            f"the worker at {url} gave {len(body) if isinstance(body, list) else 'no'} scores for {count} passages"
        )
    for item in body:
        index, score = (item.get("index"), item.get("score")) if isinstance(item, dict) else (None, None)
        if (
            type(index) is not int
            or not 0 <= index < count
            or not isinstance(score, int | float)
            or isinstance(score, bool)
            or not -MAX_SCORE <= score <= MAX_SCORE
        ):
            raise WorkerError(f"the worker at {url} gave an item that is no score: {str(item)[:100]}")
        values[index] = score
    if np.count_nonzero(~np.isnan(values)) != len(body):
        raise WorkerError(f"the worker at {url} scored a passage twice")
    return values
