"""Cross-encoder: a model that reads query and passage together and gives the pair one score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connector.errors import ModelError
from connector.models.backends import ENGINES, Backend, exactness, use_backend
from connector.models.fastest import runs_on_cpu
from connector.models.files import find_model, quiet_loading, short_name, weights_sha256
from connector.models.model import Piece
from connector.models.onnx.session import WIDTHS
from connector.models.scorer import QueryWeights, Scorer, ScorerKind, ScoringPlan
from connector.models.tokenizer import token_offsets, unlimited
from connector.models.truncation import keep_head_and_tail
from connector.settings.sections import WorkerSettings

DEFAULTS = WorkerSettings()
QUERY_SHARE = 0.5  # a query may take at most this share of the input
DEFAULT_MAX_LENGTH = 512
ENCODED_AS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}  # by tokenizers
SAMPLE = [
    ("how long", "For 30 days."),
    ("Who may return goods, and until when?", "All buyers; until 2024-01-15."),
    ("", ""),
]


@dataclass
class CrossEncoderPlan(ScoringPlan):
    """A piece is a pair of query and passage."""

    pieces: Sequence[Piece]
    lengths: tuple[int, ...]
    truncated: tuple[int, ...]
    query_truncated: bool

    def values(self) -> NDArray[np.float32]:
        return np.array([np.nan if piece.result is None else piece.result for piece in self.pieces], dtype=np.float32)

    def has_run(self, position: int) -> bool:
        return self.pieces[position].result is not None


class CrossEncoderScorer(Scorer):
    """Whatever `CrossEncoder` of sentence-transformers loads and gives one score: a model with a classification head of
    one label, an encoder with modules that make one (Ettin), a language model that is asked for yes or no.

    Scores are its logits, before any activation, in 32 bits on a CPU: the sigmoid that many models name as theirs
    rounds the best of them to the same 1. A pair that does not fit keeps the head and the tail of its passage."""

    kind: ScorerKind = "cross-encoder"

    def __init__(
        self,
        model: str,
        *,
        device: str | None = None,
        backend: Backend = "torch",
        max_length: int = 0,
        max_batch_tokens: int = DEFAULTS.max_batch_tokens,
    ) -> None:
        import torch
        from sentence_transformers import CrossEncoder

        quiet_loading()
        folder = find_model(model)
        weights_kwargs: dict[str, Any] = {"use_safetensors": True}
        if backend != "torch" or runs_on_cpu(device):
            # many are published in sixteen bits, in which a CPU is slower and no graph in eight bits can be made
            weights_kwargs["dtype"] = "float32"
        try:
            self._model = CrossEncoder(
                str(folder),
                device=device if backend == "torch" else "cpu",
                local_files_only=True,
                model_kwargs=weights_kwargs,
                activation_fn=torch.nn.Identity(),
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"cannot load the cross-encoder {model!r}: {error}") from error
        if self._model.num_labels != 1:
            raise ModelError(
                f"{model!r} is a classifier of {self._model.num_labels} labels; a reranker has one. "
                "Choose a cross-encoder for ranking"
            )
        tokenizer = self._model.tokenizer
        self._tokenizer = unlimited(tokenizer)
        known = [
            length
            for length in (self._model.max_seq_length, tokenizer.model_max_length)
            if length and length < 1_000_000
        ]
        self.max_length = max_length or min(known, default=DEFAULT_MAX_LENGTH)
        self._model.max_seq_length = self.max_length
        # with the words of a template, where the model has one
        self._special = int(self._model.preprocess([("", "")])["input_ids"].numel())
        self.max_batch_tokens = max_batch_tokens
        self.name = short_name(model)
        weights = weights_sha256(folder)
        self._pads_with = self._find_padding()
        self._widths = 1 if backend == "torch" else WIDTHS[ENGINES[backend]]
        use_backend(self._model, folder, backend)
        self.fingerprint = f"{self.name}@{weights[:12]}:cross-encoder:{self.max_length}{exactness(backend)}"

    def plan(
        self, query: str, passages: Sequence[str], *, weights: QueryWeights | None = None, scope: str = ""
    ) -> CrossEncoderPlan:
        room = self.max_length - self._special
        query_offsets, *offsets = token_offsets(self._tokenizer, [query, *passages])
        query, query_cut = keep_head_and_tail(query, query_offsets, max_tokens=int(room * QUERY_SHARE))
        query_length = min(len(query_offsets), int(room * QUERY_SHARE))
        fitted = [
            keep_head_and_tail(passage, where, max_tokens=room - query_length)
            for passage, where in zip(passages, offsets, strict=True)
        ]
        lengths = tuple(min(len(where), room - query_length) + query_length + self._special for where in offsets)
        pieces = [Piece(length, (query, text)) for length, (text, _) in zip(lengths, fitted, strict=True)]
        truncated = tuple(position for position, (_, cut) in enumerate(fitted) if cut)
        return CrossEncoderPlan(pieces, lengths, truncated, query_cut)

    def run(self, pieces: Sequence[Piece]) -> None:
        pairs = [piece.content for piece in pieces]
        inputs = self._encode(pairs, self._pads_with, widths=self._widths) if self._pads_with else None
        if inputs is None:
            values = self._model.predict(pairs, batch_size=len(pairs), show_progress_bar=False)
        else:
            values = self._predict(inputs)
        for piece, value in zip(pieces, values, strict=True):
            piece.result = float(value)

    def _predict(self, inputs: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """What `CrossEncoder.predict` makes of a batch's inputs."""
        import torch

        with torch.inference_mode():
            features = {name: torch.from_numpy(column).to(self._model.device) for name, column in inputs.items()}
            scores = self._model(features)["scores"].float()
        values: NDArray[np.float32] = scores.cpu().numpy().reshape(-1)
        return values

    def _encode(
        self, pairs: Sequence[tuple[str, str]], pads_with: Mapping[str, int], *, widths: int = 1
    ) -> dict[str, NDArray[np.int64]] | None:
        """Inputs [pairs, tokens] by name, as wide as a multiple of `widths` if they may; None where a pair would have
        to be cut."""
        encodings = self._tokenizer.encode_batch(list(pairs))
        longest = max(len(encoding) for encoding in encodings)
        if longest > self.max_length:
            return None
        wide = min(-(-longest // widths) * widths, self.max_length)
        inputs = {name: np.full((len(pairs), wide), value, dtype=np.int64) for name, value in pads_with.items()}
        for (name, column), (row, encoding) in product(inputs.items(), enumerate(encodings)):
            column[row, : len(encoding)] = getattr(encoding, ENCODED_AS[name])
        return inputs

    def _find_padding(self) -> dict[str, int] | None:
        """What each input of the model is padded with, where the tokenizer alone makes them. It is asked directly then:
        `CrossEncoder.predict` does much to each token in Python. None where a template makes them, or something
        else."""
        pad_id = self._model.tokenizer.pad_token_id
        if pad_id is None or self._model.default_prompt_name:
            return None
        expected = self._model.preprocess(SAMPLE)
        pads_with = {"input_ids": pad_id, "attention_mask": 0, "token_type_ids": 0}
        pads_with = {name: value for name, value in pads_with.items() if name in expected}
        own = self._encode(SAMPLE, pads_with)
        if own is None or not set(expected) <= {*own, "modality"}:
            return None
        same = all(np.array_equal(own[name], expected[name].cpu().numpy()) for name in own)
        return pads_with if same else None
