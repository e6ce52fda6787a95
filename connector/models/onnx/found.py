"""A graph that a model's folder holds, as optimum, Xenova and fastembed convert them, made into one of ours."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from connector.errors import ModelError
from connector.models.onnx.assembly import CONTRIB, FLOAT, INT64, Assembly
from connector.models.onnx.forms import LIKE_BERT, fuse, is_quantized

TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings", "hidden_states", "output", "output_0")
TEXT_OUTPUTS = ("sentence_embedding", "text_embeds")
LOGIT_OUTPUTS = ("logits", "scores", "output", "output_0")
INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
log = logging.getLogger(__name__)


class FoundGraph:
    """Raises ModelError where it is no graph of an encoder of texts."""

    def __init__(self, file: Path) -> None:
        import onnx
        from google.protobuf.message import DecodeError
        from onnx.checker import ValidationError

        try:
            model = onnx.load(file)
        except (DecodeError, ValidationError, ValueError, OSError) as error:  # of the graph, or of weights beside it
            raise ModelError(f"cannot read the graph in {file}: {error}") from error
        self.file = file
        self.model = model
        weights = {tensor.name for tensor in model.graph.initializer}  # old converters list them among the inputs
        inputs = [value for value in model.graph.input if value.name not in weights]
        names = [value.name for value in inputs]
        if "attention_mask" not in names or not INPUTS.issuperset(names):
            raise ModelError(f"the graph in {file} takes {', '.join(names)}, and not what encoders of texts take")
        for value in inputs:
            if value.type.tensor_type.elem_type != INT64:
                raise ModelError(f"the graph in {file} takes {value.name} in other numbers than of 64 bits")
        self.outputs = {value.name: _dimensions(value) for value in model.graph.output}

    def fuse(self, config: Mapping[str, Any], scratch: Path) -> None:
        """Let the operators of a model of BERT's family, or of one that does not say, be those that onnxruntime has for
        whole parts of a layer, unless somebody has done so or it is of eight bits.

        What onnxruntime's optimizer cannot do, or not without the package sympy, is left to its sessions."""
        fused_already = any(node.domain == CONTRIB for node in self.model.graph.node)
        if fused_already or is_quantized(self.model) or config.get("model_type", "bert") not in LIKE_BERT:
            return
        heads = config.get("num_attention_heads") or config.get("n_heads") or 0  # 0: they are found in the graph
        dims = config.get("hidden_size") or config.get("dim") or 0
        try:
            fused = fuse(self.file, scratch, heads=int(heads), dims=int(dims))
        except Exception as error:  # of many kinds
            log.info("the graph in %s is run as it is: %s", self.file, error)
            log.debug("onnxruntime cannot fuse it", exc_info=True)
            return
        if any(node.op_type == "Attention" for node in fused.graph.node):
            self.model = fused

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
                names[:] = [inner if value == output else value for value in names]
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
