"""A cross-encoder's network in torch, by sentence-transformers: on any device, or with its transformer as a graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connector.errors import ModelError
from connector.extras import needs
from connector.models.devices import runs_on_cpu
from connector.models.files import quiet_loading
from connector.models.pairs import PairInputs, encode_pairs
from connector.models.places.weights import holds_safetensors
from connector.models.runtime import DEFAULT_MAX_TOKENS
from connector.models.tokenizer import unlimited

SAMPLE = [
    ("how long", "For 30 days."),
    ("Who may return goods, and until when?", "All buyers; until 2024-01-15."),
    ("", ""),
]


class TorchPairs:
    """Whatever `CrossEncoder` of sentence-transformers loads. Raises ModelError where it cannot be loaded.

    On a CPU it is run in 32 bits. `why` it is run in torch: MissingExtra says so where that is not installed."""

    batches_at_once = 1

    def __init__(
        self, folder: Path, *, device: str | None = None, widths: int = 1, why: str = "running a cross-encoder in torch"
    ) -> None:
        if not holds_safetensors(folder):
            raise ModelError(f"{folder} holds a graph and no safetensors, which torch would run; use backend: onnx")
        with needs("torch", why):
            import torch
            from sentence_transformers import CrossEncoder

            quiet_loading()
        weights_kwargs: dict[str, Any] = {"use_safetensors": True}
        if runs_on_cpu(device):
            # many are published in sixteen bits, in which a CPU is slower and no graph in eight bits can be made
            weights_kwargs["dtype"] = "float32"
        try:
            self.model = CrossEncoder(
                str(folder),
                device=device,
                local_files_only=True,
                model_kwargs=weights_kwargs,
                activation_fn=torch.nn.Identity(),
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"cannot load the cross-encoder in {folder}: {error}") from error
        self.labels = int(self.model.num_labels)
        tokenizer = self.model.tokenizer
        self.tokenizer = unlimited(tokenizer)
        known = [
            length
            for length in (self.model.max_seq_length, tokenizer.model_max_length)
            if length and length < 1_000_000
        ]
        self.max_tokens = min(known, default=DEFAULT_MAX_TOKENS)
        # with the words of a template, where the model has one
        self.special = int(self.model.preprocess([("", "")])["input_ids"].numel())
        self._widths = widths
        self._pads_with = self._find_padding()

    def logits(self, pairs: Sequence[tuple[str, str]], *, max_tokens: int) -> NDArray[np.float32]:
        inputs = None
        if self._pads_with:
            inputs = encode_pairs(self.tokenizer, pairs, self._pads_with, max_tokens=max_tokens, widths=self._widths)
        if inputs is not None:
            return self._predict(inputs)
        self.model.max_seq_length = max_tokens
        values = self.model.predict(list(pairs), batch_size=len(pairs), show_progress_bar=False)
        return np.asarray(values, dtype=np.float32)

    def _predict(self, inputs: PairInputs) -> NDArray[np.float32]:
        """What `CrossEncoder.predict` makes of a batch's inputs."""
        import torch

        with torch.inference_mode():
            features = {name: torch.from_numpy(column).to(self.model.device) for name, column in inputs.items()}
            scores = self.model(features)["scores"].float()
        values: NDArray[np.float32] = scores.cpu().numpy().reshape(-1)
        return values

    def _find_padding(self) -> dict[str, int] | None:
        """What each input of the model is padded with, where the tokenizer alone makes them. It is asked directly then:
        `CrossEncoder.predict` does much to each token in Python. None where a template makes them, or something
        else."""
        pad_id = self.model.tokenizer.pad_token_id
        if pad_id is None or self.model.default_prompt_name:
            return None
        expected = self.model.preprocess(SAMPLE)
        pads_with = {"input_ids": pad_id, "attention_mask": 0, "token_type_ids": 0}
        pads_with = {name: value for name, value in pads_with.items() if name in expected}
        own = encode_pairs(self.tokenizer, SAMPLE, pads_with, max_tokens=self.max_tokens)
        if own is None or not set(expected) <= {*own, "modality"}:
            return None
        same = all(np.array_equal(own[name], expected[name].cpu().numpy()) for name in own)
        return pads_with if same else None
