"""A graph that a model's folder holds, as optimum, Xenova and fastembed convert them, made into one of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from connector.errors import ModelError
from connector.models.onnx.assembly import CONTRIB, FLOAT, INT64, Assembly
from connector.models.onnx.forms import LIKE_BERT, fuse

TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings", "hidden_states", "output", "output_0")
TEXT_OUTPUTS = ("sentence_embedding", "text_embeds")
LOGIT_OUTPUTS = ("logits", "scores", "output", "output_0")
INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
# operators of what has been made of eight bits
EIGHT_BITS = frozenset({"MatMulInteger", "DynamicQuantizeLinear", "QAttention", "QLinearMatMul", "QuantizeLinear"})


class FoundGraph:
    """`fused` gives it operators that onnxruntime has for whole parts of a layer; `scratch` is a folder for what is
    written on the way. Raises ModelError."""

    def __init__(self, file: Path, config: Mapping[str, Any], *, fused: bool, scratch: Path) -> None:
        import onnx

        try:
            model = onnx.load(file)
            if fused and _can_be_fused(model, config):
                model = _fused(model, config, scratch)
        except Exception as error:  # of protobuf, or of the optimizer; they have no class in common
            raise ModelError(f"cannot read the graph in {file}: {error}") from error
        self.file = file
        self.model = model
        weights = {each.name for each in model.graph.initializer}  # old converters list them among the inputs
        inputs = [value for value in model.graph.input if value.name not in weights]
        self.inputs = [value.name for value in inputs]
        if "attention_mask" not in self.inputs or not INPUTS.issuperset(self.inputs):
            raise ModelError(f"the graph in {file} takes {', '.join(self.inputs)}, and not what encoders of texts take")
        for value in inputs:
            if value.type.tensor_type.elem_type != INT64:
                raise ModelError(f"the graph in {file} takes {value.name} in other numbers than of 64 bits")
        self.outputs = {value.name: _dimensions(value) for value in model.graph.output}
        self.is_quantized = any(node.op_type in EIGHT_BITS for node in model.graph.node)

    def find(self, names: Sequence[str], dimensions: int) -> str:
        """The output that goes by the first of these names and has so many dimensions; empty where none does."""
        fitting = [name for name, shape in self.outputs.items() if len(shape) == dimensions]
        return next((name for name in names if name in fitting), "")

    def rename(self, output: str, name: str) -> str:
        """Give an output, from now on in 32 bits, another name."""
        (given,) = (value for value in self.model.graph.output if value.name == output)
        narrow = given.type.tensor_type.elem_type != FLOAT
        inner = f"{name}/narrow" if narrow else name
        for node in self.model.graph.node:
            for names in (node.input, node.output):
                names[:] = [inner if each == output else each for each in names]
        if narrow:
            added = Assembly(f"{name}/")
            added.add("Cast", inner, to=FLOAT, output=name)
            self.add(added)
        return name

    def add(self, added: Assembly) -> None:
        """Put operators after those that are there."""
        self.model.graph.node.extend(added.nodes)
        self.model.graph.initializer.extend(added.weights.values())

    def keep(self, shapes: Mapping[str, Sequence[str | int]]) -> Any:
        """The graph with these outputs and no others."""
        from onnx import helper

        del self.model.graph.output[:]
        outputs = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in shapes.items()]
        self.model.graph.output.extend(outputs)
        return self.model


def _dimensions(value: Any) -> list[int]:
    """The shape of an output; 0 where it is not the same for all inputs."""
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


def _can_be_fused(model: Any, config: Mapping[str, Any]) -> bool:
    """Whether it is of BERT's family, or does not say, and nobody has fused it or made it of eight bits."""
    if any(node.domain == CONTRIB or node.op_type in EIGHT_BITS for node in model.graph.node):
        return False
    return config.get("model_type", "bert") in LIKE_BERT


def _fused(model: Any, config: Mapping[str, Any], scratch: Path) -> Any:
    import onnx

    file = scratch / "found.onnx"
    onnx.save_model(model, file)
    heads = config.get("num_attention_heads") or config.get("n_heads") or 0  # 0: the optimizer finds them in the graph
    dims = config.get("hidden_size") or config.get("dim") or 0
    fused = fuse(file, heads=int(heads), dims=int(dims))
    return fused if any(node.op_type == "Attention" for node in fused.graph.node) else model
