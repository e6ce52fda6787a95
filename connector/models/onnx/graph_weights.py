"""The weights of a model of BERT's family out of a graph of it, by the names that transformers gives them.

Converters keep the names of biases, norms and tables. The matrices lose theirs, since they are turned; each is found by
the bias that is added to its product."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from connector.models.onnx.bert import PREFIXES

WORDS = "embeddings.word_embeddings.weight"
GraphWeights = dict[str, NDArray[np.float32]]


def read_graph_weights(model: Any) -> GraphWeights:
    """Empty where the graph has not kept their names."""
    from onnx import numpy_helper

    stored = {weight.name: weight for weight in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:  # one of several that are alike
            stored[node.output[0]] = stored[node.input[0]]
    outer = _what_is_around(list(stored))
    if outer is None:
        return {}
    named = {name: weight for name, weight in stored.items() if name.startswith(outer)}
    for name, (weight, turned) in _matrices(model, stored).items():
        values = numpy_helper.to_array(weight)
        named[name] = numpy_helper.from_array(np.asarray(values.T if turned else values, order="C"))
    return {
        name.removeprefix(outer): numpy_helper.to_array(weight).astype(np.float32, copy=False)
        for name, weight in named.items()
    }


def _what_is_around(names: list[str]) -> str | None:
    """What precedes the names that transformers gives, as where a converter has put the model into another."""
    words = next((name for name in names if name.endswith(WORDS)), None)
    if words is None:
        return None
    before = words.removesuffix(WORDS)
    family = max((prefix for prefix in PREFIXES if before.endswith(prefix)), key=len)
    return before.removesuffix(family)


def _matrices(model: Any, stored: dict[str, Any]) -> dict[str, tuple[Any, bool]]:
    """By name: the weights of each linear layer, and whether they are [in, out]."""
    made_by = {node.output[0]: node for node in model.graph.node}
    found = {}
    for node in model.graph.node:
        biases = [name for name in node.input if name in stored and name.endswith(".bias")]
        if len(biases) != 1:
            continue
        if node.op_type == "Gemm" and node.input[1] in stored:
            turned = not any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            found[biases[0]] = stored[node.input[1]], turned
        for name in node.input if node.op_type == "Add" else ():
            product = made_by.get(name)
            if product is not None and product.op_type == "MatMul" and product.input[1] in stored:
                found[biases[0]] = stored[product.input[1]], True
    return {f"{bias.removesuffix('.bias')}.weight": weight for bias, weight in found.items()}
