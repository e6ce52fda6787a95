"""The vector of a text from those of its tokens, as operators at the end of a graph."""

from __future__ import annotations

import numpy as np

from connector.errors import ModelError
from connector.models.description import TextHead
from connector.models.onnx.assembly import FLOAT, INT32, Assembly
from connector.models.onnx.weights import ModelWeights


def add_text_head(
    graph: Assembly, tokens: str, head: TextHead, output: str, *, dims: int, pad_on: str = "right"
) -> int:
    """Let a graph whose operators give vectors of tokens [batch, tokens, dims] give `output` too. Gives the dimensions
    of that."""
    vector = _pool(graph, tokens, head.pooling, pad_on)
    for number, projection in enumerate(head.projections):
        weights = ModelWeights(projection.folder)
        if "linear.weight" not in weights:
            raise ModelError(f"{projection.folder} has no weights in safetensors")
        matrix = graph.weight(f"projection{number}.weight", weights["linear.weight"].T)
        vector = graph.add("MatMul", vector, matrix)
        if "linear.bias" in weights:
            vector = graph.add("Add", vector, graph.weight(f"projection{number}.bias", weights["linear.bias"]))
        if projection.activation:
            vector = graph.add(projection.activation, vector)
        dims = projection.dims
    graph.rename(vector, output)
    return dims


def _pool(graph: Assembly, tokens: str, pooling: str, pad_on: str) -> str:
    """By operators that mean the same in all of their versions."""
    if pooling == "cls" and pad_on == "right":
        return graph.add("Gather", tokens, graph.weight("first", np.array(0, np.int64)), axis=1)
    if pooling in ("cls", "lasttoken"):
        # the first that is no padding, or the last, on whichever side that is
        small = graph.add("Cast", "attention_mask", to=INT32)
        position = graph.add("ArgMax", small, axis=1, keepdims=1, select_last_index=int(pooling == "lasttoken"))
        return graph.add("GatherND", tokens, position, batch_dims=1)
    mask = graph.add("Cast", "attention_mask", to=FLOAT)
    row, column = (graph.add("Reshape", mask, graph.numbers(*shape)) for shape in ((0, 1, -1), (0, -1, 1)))
    total, count = graph.add("MatMul", row, tokens), graph.add("MatMul", row, column)  # [batch, 1, dims or 1]
    count = graph.add("Max", count, graph.number(1e-9))
    mean = graph.add("Div", total, count if pooling == "mean" else graph.add("Sqrt", count))
    return graph.add("Reshape", mean, graph.numbers(0, -1))
