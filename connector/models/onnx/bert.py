"""The graphs of BERT's family, built from a model's configuration and weights, in a form that needs no fusing.

Devlin et al., NAACL 2019. The names of weights are those that transformers saves them under."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connector.models.bert_family import FAMILIES
from connector.models.onnx.assembly import FLOAT, INT32, INT64, Assembly

COUNTS_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})  # positions start after the padding's id
MASKED = -10000.0  # what onnxruntime adds where a token is not to be read
PREFIXES = ("", "bert.", "roberta.", "electra.", "distilbert.")


class Bert:
    """Puts the operators of a model together. `fused` takes those that onnxruntime has for whole parts of a layer,
    else they are what every engine knows."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, NDArray[np.float32]], *, fused: bool) -> None:
        self.graph = Assembly()
        self.config = config
        self.family = str(config["model_type"])
        self.names = FAMILIES[self.family]
        self.heads = int(config[self.names.heads])
        self.layers = int(config[self.names.layers])
        self.dims = int(config[self.names.dims])
        self.activation = str(config.get(self.names.activation, "gelu"))
        self.epsilon = float(config.get("layer_norm_eps", 1e-12))
        self.fused = fused
        self.weights = weights
        self._prefix = next(prefix for prefix in PREFIXES if f"{prefix}embeddings.word_embeddings.weight" in weights)
        takes_types = self.family != "distilbert" and int(config.get("type_vocab_size", 0) or 0) > 1
        self.inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if takes_types else [])]
        self._mask = self._attention_mask()

    def encode(self, *, first_token: bool = False) -> str:
        """The last hidden states [batch, tokens, dims]; with `first_token` those of the first alone [batch, 1, dims],
        for which the last layer computes no others."""
        hidden = self._embeddings()
        for layer in range(self.layers):
            only_first = first_token and layer == self.layers - 1
            hidden = self._layer(f"{self.names.layer}.{layer}.", hidden, only_first=only_first)
        return hidden

    def linear(self, name: str, values: str, *, label: str = "") -> str:
        """values @ weights + bias. `label` names the operator."""
        product = self.graph.add("MatMul", values, self._matrix(name), name=label)
        return self.graph.add("Add", product, self._vector(name + ".bias"))

    def width(self, name: str) -> int:
        """How many numbers a linear layer gives."""
        return int(self._stored(f"{name}.weight").shape[0])

    def _stored(self, name: str) -> NDArray[np.float32]:
        return self.weights[self._prefix + name if self._prefix + name in self.weights else name]

    def _matrix(self, name: str) -> str:
        """Torch keeps a layer's weights [out, in]."""
        return self.graph.weight(f"{name}.weight", self._stored(f"{name}.weight").T)

    def _vector(self, name: str) -> str:
        return self.graph.weight(name, self._stored(name))

    def _norm_weights(self, name: str) -> tuple[str, str]:
        """Models that were converted from TensorFlow long ago call them gamma and beta."""
        old = f"{self._prefix}{name}.gamma" in self.weights
        return self._vector(f"{name}.{'gamma' if old else 'weight'}"), self._vector(
            f"{name}.{'beta' if old else 'bias'}"
        )

    def _attention_mask(self) -> str:
        """Ones where onnxruntime reads a token, else [batch, 1, 1, tokens] to be added."""
        if self.fused:
            return self.graph.add("Cast", "attention_mask", to=INT32)
        wide = self.graph.add("Unsqueeze", "attention_mask", self.graph.numbers(1, 2))
        kept = self.graph.add("Cast", wide, to=FLOAT)
        lacking = self.graph.add("Sub", self.graph.number(1.0), kept)
        return self.graph.add("Mul", lacking, self.graph.number(MASKED))

    def _embeddings(self) -> str:
        graph = self.graph
        words = self._vector("embeddings.word_embeddings.weight")
        positions = self._vector("embeddings.position_embeddings.weight")
        gamma, beta = self._norm_weights("embeddings.LayerNorm")
        by_type = "token_type_ids" in self.inputs
        if self.fused and by_type and self.family not in COUNTS_FROM_PADDING:
            ids, types = (graph.add("Cast", name, to=INT32) for name in ("input_ids", "token_type_ids"))
            table = self._vector("embeddings.token_type_embeddings.weight")
            read = (ids, types, words, positions, table, gamma, beta)
            hidden = graph.own("EmbedLayerNormalization", *read, unread=["lengths"], epsilon=self.epsilon)
        else:
            hidden = graph.add("Gather", words, "input_ids")
            hidden = graph.add("Add", hidden, graph.add("Gather", positions, self._positions()))
            if by_type:
                table = self._vector("embeddings.token_type_embeddings.weight")
                hidden = graph.add("Add", hidden, graph.add("Gather", table, "token_type_ids"))
            elif self.family != "distilbert":
                first = self._stored("embeddings.token_type_embeddings.weight")[0]
                hidden = graph.add("Add", hidden, graph.weight("embeddings.first_type", first))
            hidden = graph.add("LayerNormalization", hidden, gamma, beta, axis=-1, epsilon=self.epsilon)
        if f"{self._prefix}embeddings_project.weight" in self.weights:
            hidden = self.linear("embeddings_project", hidden)
        return hidden

    def _positions(self) -> str:
        """Which row of the table of positions each token takes, [1 or batch, tokens]."""
        graph = self.graph
        if self.family in COUNTS_FROM_PADDING:
            pad = graph.numbers(int(self.config.get("pad_token_id", 1)))
            kept = graph.add("Cast", graph.add("Not", graph.add("Equal", "input_ids", pad)), to=INT64)
            counted = graph.add("CumSum", kept, graph.weight("second_axis", np.array(1, dtype=np.int64)))
            return graph.add("Add", graph.add("Mul", counted, kept), pad)
        tokens = graph.add("Gather", graph.add("Shape", "input_ids"), graph.weight("second", np.array(1, np.int64)))
        start, step = (graph.weight(f"scalar_{value}", np.array(value, np.int64)) for value in (0, 1))
        return graph.add("Unsqueeze", graph.add("Range", start, tokens, step), graph.numbers(0))

    def _layer(self, layer: str, hidden: str, *, only_first: bool) -> str:
        names, graph = self.names, self.graph
        if only_first:
            first = graph.add("Slice", hidden, graph.numbers(0), graph.numbers(1), graph.numbers(1))
            attended, skip = self._attend_from(layer, first, hidden), first
        elif self.fused:
            attended, skip = self._attend_fused(layer, hidden), hidden
        else:
            attended, skip = self._attend_from(layer, hidden, hidden), hidden
        read = self._add_and_norm(layer + names.attended, layer + names.attended_norm, attended, skip)
        return self._add_and_norm(
            layer + names.outer, layer + names.norm, self._activate(layer + names.inner, read), read
        )

    def _attend_fused(self, layer: str, hidden: str) -> str:
        parts = [layer + name for name in (self.names.query, self.names.key, self.names.value)]
        matrix = np.concatenate([self._stored(f"{part}.weight").T for part in parts], axis=1)
        bias = np.concatenate([self._stored(f"{part}.bias") for part in parts])
        weights = self.graph.weight(f"{layer}qkv.weight", matrix), self.graph.weight(f"{layer}qkv.bias", bias)
        return self.graph.own("Attention", hidden, *weights, self._mask, num_heads=self.heads)

    def _attend_from(self, layer: str, asking: str, hidden: str) -> str:
        """What the tokens `asking` read of all, [batch, tokens that ask, dims]."""
        graph, names = self.graph, self.names
        if self.fused:
            parts = [layer + name for name in (names.query, names.key, names.value)]
            query, key, value = (
                graph.add("MatMul", values, self._matrix(part))
                for values, part in zip((asking, hidden, hidden), parts, strict=True)
            )
            bias = graph.weight(f"{layer}qkv.bias", np.concatenate([self._stored(f"{part}.bias") for part in parts]))
            return graph.own("MultiHeadAttention", query, key, value, bias, self._mask, num_heads=self.heads)
        own = self.dims // self.heads

        def heads(name: str, values: str, order: list[int]) -> str:
            split = graph.add("Reshape", self.linear(layer + name, values), graph.numbers(0, 0, self.heads, own))
            return graph.add("Transpose", split, perm=order)

        query, value = heads(names.query, asking, [0, 2, 1, 3]), heads(names.value, hidden, [0, 2, 1, 3])
        logits = graph.add("MatMul", query, heads(names.key, hidden, [0, 2, 3, 1]))
        logits = graph.add("Add", graph.add("Mul", logits, graph.number(1 / math.sqrt(own))), self._mask)
        read = graph.add("MatMul", graph.add("Softmax", logits, axis=-1), value)
        joined = graph.add("Transpose", read, perm=[0, 2, 1, 3])
        return graph.add("Reshape", joined, graph.numbers(0, 0, self.dims))

    def _add_and_norm(self, name: str, norm: str, values: str, skip: str) -> str:
        gamma, beta = self._norm_weights(norm)
        if self.fused:
            product = self.graph.add("MatMul", values, self._matrix(name))
            bias = self._vector(name + ".bias")
            return self.graph.own("SkipLayerNormalization", product, skip, gamma, beta, bias, epsilon=self.epsilon)
        total = self.graph.add("Add", self.linear(name, values), skip)
        return self.graph.add("LayerNormalization", total, gamma, beta, axis=-1, epsilon=self.epsilon)

    def _activate(self, name: str, values: str) -> str:
        if self.fused and self.activation != "relu":
            product = self.graph.add("MatMul", values, self._matrix(name))
            exact = self.activation in ("gelu", "gelu_python")
            return self.graph.own("BiasGelu" if exact else "FastGelu", product, self._vector(name + ".bias"))
        return self.activated(self.activation, self.linear(name, values))

    def activated(self, activation: str, values: str) -> str:
        """One of those that BERT's family has (bert_family.py), or Tanh."""
        graph = self.graph
        if activation in ("relu", "tanh"):
            return graph.add(activation.capitalize(), values)
        if activation in ("gelu", "gelu_python"):
            part = graph.add("Erf", graph.add("Div", values, graph.number(math.sqrt(2))))
        else:
            cube = graph.add("Mul", graph.add("Mul", values, values), values)
            inner = graph.add("Add", values, graph.add("Mul", cube, graph.number(0.044715)))
            part = graph.add("Tanh", graph.add("Mul", inner, graph.number(math.sqrt(2 / math.pi))))
        scaled = graph.add("Mul", values, graph.add("Add", part, graph.number(1.0)))
        return graph.add("Mul", scaled, graph.number(0.5))
