"""A graph as it is put together: operators, the weights they read, and what comes out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 17
FLOAT, INT32, INT64 = 1, 6, 7  # of onnx.TensorProto; the library is imported where a graph is made and not elsewhere
CONTRIB = "com.microsoft"  # onnxruntime's own operators
WEIGHTS_APART_BYTES = 1024  # what is longer is kept beside the graph, from where it is mapped and not read


class Assembly:
    """Operators in the order in which they run. Each gives the name of its output, which others take."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {}

    def add(
        self,
        operator: str,
        *inputs: str,
        domain: str = "",
        output: str = "",
        name: str = "",
        unread: Sequence[str] = (),
        **attributes: Any,
    ) -> str:
        """The first output of an operator, which may have others that nobody reads."""
        from onnx import helper

        name = name or f"{self._prefix}{operator}_{len(self.nodes)}"
        output = output or f"{name}_output"
        self.nodes.append(helper.make_node(operator, inputs, [output, *unread], name=name, domain=domain, **attributes))
        return output

    def own(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """An operator that only onnxruntime has."""
        return self.add(operator, *inputs, domain=CONTRIB, **attributes)

    def rename(self, value: str, name: str) -> str:
        """Give an operator's output another name, before others take it."""
        for node in self.nodes:
            node.output[:] = [name if output == value else output for output in node.output]
        return name

    def weight(self, name: str, values: NDArray[Any]) -> str:
        """Numbers that operators read; the same name is stored once."""
        from onnx import numpy_helper

        name = self._prefix + name
        if name not in self.weights:
            self.weights[name] = numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name

    def numbers(self, *values: int) -> str:
        """Whole numbers, such as a shape or axes."""
        return self.weight(f"numbers{'_'.join(map(str, values))}", np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        return self.weight(f"number_{value!r}", np.array(value, dtype=np.float32))

    def model(self, inputs: Sequence[str], outputs: Mapping[str, Sequence[str | int]]) -> Any:
        """The graph. Its inputs are whole numbers [batch, tokens], its outputs have these shapes."""
        from onnx import helper

        graph = helper.make_graph(
            self.nodes,
            "model",
            [helper.make_tensor_value_info(name, INT64, ["batch", "tokens"]) for name in inputs],
            [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
            list(self.weights.values()),
        )
        operators = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=operators, ir_version=8, producer_name="hybrid-search-connector")


def weights_file(graph: Path) -> Path:
    """Where the weights of a graph are."""
    return graph.with_suffix(".weights")


def save_graph(model: Any, file: Path) -> None:
    """Write a graph with its weights in a file beside it: a session maps them, which takes a fifth of the time that
    reading them takes."""
    import onnx

    weights_file(file).unlink(missing_ok=True)  # the library appends
    onnx.save_model(
        model,
        file,
        save_as_external_data=True,
        location=weights_file(file).name,
        size_threshold=WEIGHTS_APART_BYTES,
        convert_attribute=False,
    )
    if weights_file(file).exists():  # the library lets nobody else read them; an image is built and run by two users
        weights_file(file).chmod(file.stat().st_mode)


def move_graph(made: Path, file: Path) -> None:
    """Move a graph and its weights to where they are looked for: the weights first, so that no graph is without."""
    if weights_file(made).exists():
        os.replace(weights_file(made), weights_file(file))
    os.replace(made, file)
