"""A cross-encoder's network as a graph, run without torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connector.errors import ModelError
from connector.models.onnx.runtime import read_graph_recipe
from connector.models.onnx.session import WIDTHS, GraphEngine, Session
from connector.models.pairs import encode_pairs
from connector.models.tokenizer import read_tokenizer

LOGITS = "logits"  # [batch, labels]


class GraphPairs:
    """A graph with this output, and its recipe beside it; `dims` of that are the labels. Raises ModelError."""

    batches_at_once = 2

    def __init__(self, file: Path, engine: GraphEngine = "onnxruntime") -> None:
        self._session = Session(file, engine)
        self._recipe = read_graph_recipe(file)
        try:
            self.tokenizer, self._cutting = (read_tokenizer(self._recipe.tokenizer) for _ in range(2))
        except ValueError as error:
            raise ModelError(f"cannot load what belongs to {file} ({error}); delete it, and it is made anew") from error
        self._is_cutting = threading.Lock()  # a tokenizer that is told where to cut is nobody else's meanwhile
        self.special = self.tokenizer.num_special_tokens_to_add(True)
        self.max_tokens = self._recipe.max_tokens
        self.labels = self._recipe.dims
        self._widths = WIDTHS[engine]

    def logits(self, pairs: Sequence[tuple[str, str]], *, max_tokens: int) -> NDArray[np.float32]:
        recipe = self._recipe
        pads_with = {"input_ids": recipe.pad_id, "attention_mask": 0, "token_type_ids": recipe.pad_type_id}
        # a pair may come out a little longer than it was planned, where its pieces are joined
        with self._is_cutting:
            self._cutting.enable_truncation(max_tokens)
            inputs = encode_pairs(
                self._cutting, pairs, pads_with, max_tokens=max_tokens, widths=self._widths, pad_on=recipe.pad_on
            )
        assert inputs is not None
        values: NDArray[np.float32] = self._session.run(LOGITS, inputs)[:, 0]
        return values
