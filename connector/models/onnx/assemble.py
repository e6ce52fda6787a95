"""The whole graph of a model of BERT's family, from token ids to vectors or logits, put together from its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connector.errors import ModelError
from connector.models.description import read_text_head
from connector.models.files import read_config, read_json
from connector.models.model import ModelKind
from connector.models.onnx.bert import Bert
from connector.models.onnx.heads import add_classifier
from connector.models.onnx.pairs import LOGITS
from connector.models.onnx.pooling import add_text_head
from connector.models.onnx.runtime import TEXT_VECTOR, TOKEN_VECTORS


@dataclass(frozen=True, slots=True)
class MadeGraph:
    """A graph in 32 bits; the dimensions of a text's vector, or how many labels there are; the names of operators that
    are not worth eight bits."""

    model: Any
    dims: int
    head: Sequence[str] = ()


def assemble_graph(
    folder: Path, kind: ModelKind, weights: Mapping[str, NDArray[np.float32]], *, fused: bool
) -> MadeGraph:
    """The graph of the model that the folder describes, with these weights. Raises ModelError where one is missing."""
    config = read_config(folder)
    given = read_json(folder / "tokenizer_config.json").get("model_input_names")
    if given and "token_type_ids" not in given:
        config["type_vocab_size"] = 1  # of whatever types there are the model is given the first
    try:
        bert = Bert(config, weights, fused=fused)
        if kind == "cross-encoder":
            labels, head = add_classifier(bert, LOGITS)
            return MadeGraph(bert.graph.model(bert.inputs, {LOGITS: ["batch", labels]}), labels, head)
        tokens = bert.graph.rename(bert.encode(), TOKEN_VECTORS)
        dims = add_text_head(bert.graph, tokens, read_text_head(folder), TEXT_VECTOR, dims=bert.dims)
    except (KeyError, StopIteration) as error:
        raise ModelError(f"the weights in {folder} lack {error}; run the model with backend: torch") from error
    return MadeGraph(bert.graph.model(bert.inputs, encoder_outputs(bert.dims, dims)), dims)


def encoder_outputs(width: int, dims: int) -> dict[str, Sequence[str | int]]:
    """What an encoder's graph gives, name -> shape. `width` is that of a token's vector."""
    return {TOKEN_VECTORS: ["batch", "tokens", width or "width"], TEXT_VECTOR: ["batch", dims or "dims"]}
