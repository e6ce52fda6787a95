"""BERT's family: what its models call their weights and settings, and whose graphs can be built from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Names:
    """What a family calls its weights and its settings."""

    layer: str
    query: str
    key: str
    value: str
    attended: str
    attended_norm: str
    inner: str
    outer: str
    norm: str
    dims: str = "hidden_size"
    heads: str = "num_attention_heads"
    layers: str = "num_hidden_layers"
    activation: str = "hidden_act"


BERT = Names(
    layer="encoder.layer",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attended="attention.output.dense",
    attended_norm="attention.output.LayerNorm",
    inner="intermediate.dense",
    outer="output.dense",
    norm="output.LayerNorm",
)
DISTILBERT = Names(
    layer="transformer.layer",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attended="attention.out_lin",
    attended_norm="sa_layer_norm",
    inner="ffn.lin1",
    outer="ffn.lin2",
    norm="output_layer_norm",
    dims="dim",
    heads="n_heads",
    layers="n_layers",
    activation="activation",
)
FAMILIES = {
    "bert": BERT,
    "roberta": BERT,
    "xlm-roberta": BERT,
    "camembert": BERT,
    "electra": BERT,
    "distilbert": DISTILBERT,
}
ACTIVATIONS = frozenset({"gelu", "gelu_python", "gelu_new", "gelu_pytorch_tanh", "relu"})


def why_not(config: Mapping[str, Any]) -> str:
    """Why the graph of a model cannot be built from its configuration and weights; empty where it can."""
    family = config.get("model_type", "")
    if family not in FAMILIES:
        return f"models of type {family!r} are not built"
    if config.get("auto_map"):
        return "the model has code of its own"
    if config.get("position_embedding_type", "absolute") != "absolute":
        return f"its positions are {config['position_embedding_type']}"
    if config.get("is_decoder") or config.get("add_cross_attention"):
        return "it is a decoder"
    activation = config.get(FAMILIES[family].activation, "gelu")
    return "" if activation in ACTIVATIONS else f"its activation is {activation!r}"
