"""The vector of a text from those of its tokens, as operators at the end of a graph."""

from __future__ import annotations

from connector.errors import ModelError
from connector.models.description import TextHead
from connector.models.onnx.assembly import Assembly
from connector.models.onnx.weights import Weights


def add_text_head(graph: Assembly, tokens: str, head: TextHead, output: str, *, dims: int) -> int:
    """Let a graph whose operators give vectors of tokens [batch, tokens, dims] give `output` too. Gives the dimensions
    of that."""
    vector = _pool(graph, tokens, head.pooling)
    for number, projection in enumerate(head.projections):
        weights = Weights(projection.folder)
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


def _pool(graph: Assembly, tokens: str, pooling: str) -> str:
    if pooling in ("cls", "lasttoken"):
        # the first that is no padding, or the last, on whichever side that is
        last = int(pooling == "lasttoken")
        small = graph.add("Cast", "attention_mask", to=6)  # int32
        position = graph.add("ArgMax", small, axis=1, keepdims=1, select_last_index=last)
        return graph.add("GatherND", tokens, position, batch_dims=1)
    mask = graph.add("Cast", "attention_mask", to=1)  # float
    row = graph.add("Unsqueeze", mask, graph.numbers(1))
    total = graph.add("Squeeze", graph.add("MatMul", row, tokens), graph.numbers(1))
    count = graph.add("ReduceSum", mask, graph.numbers(1), keepdims=1)
    count = graph.add("Max", count, graph.number(1e-9))
    return graph.add("Div", total, count if pooling == "mean" else graph.add("Sqrt", count))
