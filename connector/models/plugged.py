"""An encoder that a plug-in brings, held to what an encoder promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from connector.errors import ModelError
from connector.models.encoder import Encoder
from connector.plugins import Plugin
from connector.settings.sections import EncoderSettings
from connector.types import Vector, Vectors

MEMBERS = ("fingerprint", "encode", "encode_query", "token_offsets")


class PluggedEncoder:
    """The plug-in's encoder: what it raises is a ModelError with its own reason, and vectors of another shape than its
    fingerprint says are refused before they reach an index."""

    def __init__(self, plugin: Plugin, settings: EncoderSettings, options: Mapping[str, Any]) -> None:
        """Raises PluginError where it cannot be opened, or is no encoder."""
        self._plugin = plugin
        opener = plugin.load()
        with plugin.blamed():
            self._encoder: Encoder = opener(settings, options)
        plugin.check(self._encoder, *MEMBERS)
        self.fingerprint = self._encoder.fingerprint
        self.queries_at_once = getattr(self._encoder, "queries_at_once", 1)

    def encode(self, texts: Sequence[str]) -> Vectors:
        with self._plugin.blamed(ModelError):
            vectors = np.asarray(self._encoder.encode(texts), dtype=np.float32)
        return self._checked(vectors, (len(texts), self.fingerprint.dims))

    def encode_query(self, text: str) -> Vector:
        with self._plugin.blamed(ModelError):
            vector = np.asarray(self._encoder.encode_query(text), dtype=np.float32)
        return self._checked(vector, (self.fingerprint.dims,))

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        with self._plugin.blamed(ModelError):
            return self._encoder.token_offsets(texts)

    def close(self) -> None:
        """End what the plug-in has open, if it can be ended."""
        if close := getattr(self._encoder, "close", None):
            with self._plugin.blamed(ModelError):
                close()

    def _checked(self, vectors: Vectors, shape: tuple[int, ...]) -> Vectors:
        if vectors.shape != shape and 0 not in shape:
            raise ModelError(f"{self._plugin} gave vectors of shape {vectors.shape}, where {shape} is due")
        return vectors.reshape(shape)
