"""The worker's encoder from the caller's side: text goes out, vectors come back, and no model is loaded here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import httpx
import numpy as np

from connector.errors import WorkerError, WorkerUnavailable
from connector.extras import needs
from connector.models.tokenizer import read_tokenizer, token_offsets
from connector.remote.replies import read_json, read_vectors, require_ok, sending
from connector.retries import Retry
from connector.schema import EncoderFingerprint
from connector.settings.sections import IngestSettings
from connector.tls import trust_for
from connector.trace_context import trace_headers
from connector.types import Vector, Vectors

DEFAULTS = IngestSettings()
MAX_TEXTS = 256  # in one request
QUERY_TIMEOUT_S = 30.0  # a search has a deadline of its own
PASSAGES_TIMEOUT_S = 300.0
FIRST_ATTEMPTS = 3  # a search that has just started does not wait long for a worker that is away


class RemoteEncoder:
    """An encoder that a worker runs. Thread-safe."""

    queries_at_once = 16

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: str | None = None,
        ca_cert: str | None = None,
        attempts: int = DEFAULTS.max_attempts,
        backoff_s: float = DEFAULTS.backoff_s,
        max_texts: int = MAX_TEXTS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Asks the worker for the encoder of that name. Passages go `max_texts` in a request, which is tried so many
        times where that can help.

        Raises WorkerError, and SettingsError for a `ca_cert` that is no PEM file."""
        self.url, self._model = url.rstrip("/"), model
        self._attempts, self._backoff_s = attempts, backoff_s
        self._max_texts = max_texts
        self._client = httpx.Client(
            transport=transport,
            trust_env=False,  # texts go to the worker, not to a proxy that the environment names
            verify=trust_for(self.url, ca_cert, setting="encoder.ca_cert"),
            headers={"authorization": f"Bearer {api_key}"} if api_key else None,
        )
        body = self._try(
            "GET",
            "/encoder",
            attempts=min(attempts, FIRST_ATTEMPTS),
            params={"model": model},
            timeout_s=PASSAGES_TIMEOUT_S,
        )
        try:
            self.fingerprint = EncoderFingerprint(**body["fingerprint"])
            self._tokenizer_json = str(body["tokenizer"])
        except (ValueError, TypeError, KeyError) as error:
            raise self._no_encoder() from error

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vectors [n, dims] of passages. Raises WorkerError."""
        parts = [self._encode(texts[at : at + self._max_texts]) for at in range(0, len(texts), self._max_texts)]
        return np.concatenate([np.zeros((0, self.fingerprint.dims), dtype=np.float32), *parts])

    def encode_query(self, text: str) -> Vector:
        """The vector [dims] of a query. Raises WorkerError."""
        body = self._send("POST", "/v1/embeddings", json=self._body([text], "query"), timeout_s=QUERY_TIMEOUT_S)
        vector: Vector = self._read(body, 1)[0]
        return vector

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Where each token stands, found here: the worker's tokenizer was fetched at the start."""
        return token_offsets(self._tokenizer, texts)

    @cached_property
    def _tokenizer(self) -> Any:
        """Only who writes passages needs it. Raises MissingExtra, WorkerError."""
        with needs("local", "cutting passages by the encoder's tokens"):
            try:
                return read_tokenizer(self._tokenizer_json)
            except ValueError as error:
                raise self._no_encoder() from error

    def _no_encoder(self) -> WorkerError:
        return WorkerError(f"{self.url}/encoder describes no encoder; is a connector worker running there?")

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def _encode(self, texts: Sequence[str]) -> Vectors:
        body = self._try(
            "POST",
            "/v1/embeddings",
            attempts=self._attempts,
            json=self._body(texts, "document"),
            timeout_s=PASSAGES_TIMEOUT_S,
        )
        return self._read(body, len(texts))

    def _body(self, texts: Sequence[str], input_type: str) -> dict[str, Any]:
        return {"input": list(texts), "model": self._model, "input_type": input_type, "encoding_format": "base64"}

    def _read(self, body: Any, count: int) -> Vectors:
        try:
            return read_vectors(body["data"], count=count, dims=self.fingerprint.dims)
        except (ValueError, KeyError, TypeError) as error:
            raise WorkerError(f"the worker at {self.url} gave {error}") from error

    def _try(self, method: str, path: str, *, attempts: int, timeout_s: float, **options: Any) -> Any:
        """The reply's JSON, asked for again, with pauses, while that can help. Raises WorkerError."""
        retry = Retry((WorkerUnavailable,), attempts, self._backoff_s)
        return retry.run_blocking(partial(self._send, method, path, timeout_s=timeout_s, **options))

    def _send(self, method: str, path: str, *, timeout_s: float, **options: Any) -> Any:
        with sending(self.url, section="encoder", timeout_s=timeout_s):
            reply = self._client.request(method, self.url + path, timeout=timeout_s, headers=trace_headers(), **options)
        require_ok(reply, self.url)
        return read_json(reply, self.url)
