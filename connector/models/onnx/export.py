"""A model's transformer as an ONNX graph, exported by torch: of families whose graphs are not built (build.py)."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, get_args

from connector.errors import ModelError
from connector.models.onnx.assembly import OPSET, move_graph, save_graph
from connector.models.onnx.first_token import last_layer_for_first_token
from connector.models.onnx.forms import LIKE_BERT, Form, fuse, quantize, quiet, workshop

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("logits", "last_hidden_state")
log = logging.getLogger(__name__)

# what makes a graph's outputs out of its inputs, all tensors
Compute = Callable[[Mapping[str, Any]], tuple[Any, ...]]


def export_graph(
    transformer: Any,
    file: Path,
    form: Form,
    *,
    outputs: Sequence[str] = ("output",),
    compute: Compute | None = None,
) -> None:
    """Write the graph of a transformers model to `file`, whole or not at all; of a last layer that only the score
    reads, no more than that.

    Its inputs are those of INPUTS that the model takes, int64 [batch, tokens]; its `outputs` are what `compute` makes
    of them with the model, or the first of OUTPUTS that the model gives. Raises ModelError where the model cannot be
    exported."""
    assert form in get_args(Form)
    import onnx

    with workshop(file.parent) as folder, quiet():
        exported, made = folder / "exported.onnx", folder / file.name
        with _explaining(transformer):
            _export(transformer, exported, outputs, compute or partial(_own_output, transformer))
        config = transformer.config
        if form != "plain" and config.model_type in LIKE_BERT:
            with _explaining(transformer):
                model = fuse(exported, folder, heads=config.num_attention_heads, dims=config.hidden_size)
        else:
            model = onnx.load(exported)
        if form == "int8":
            with _explaining(transformer):
                model = quantize(model, folder)
        save_graph(model, made)
        move_graph(made, file)


def graph_inputs(transformer: Any) -> list[str]:
    """Those of INPUTS that the model's forward takes and its configuration has a use for."""
    takes = inspect.signature(transformer.forward).parameters
    typed = getattr(transformer.config, "type_vocab_size", 0) or 0
    return [name for name in INPUTS if name in takes and (name != "token_type_ids" or typed > 1)]


@contextmanager
def _explaining(transformer: Any) -> Iterator[None]:
    """Around what another's code makes of a model: whatever it raises becomes a ModelError."""
    try:
        yield
    except Exception as error:  # torch runs the model's own code, and each package raises classes of its own
        log.debug("a graph cannot be made", exc_info=True)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"a model of type {transformer.config.model_type!r} cannot be exported to ONNX ({reason}); "
            "run it with worker.backend: torch"
        ) from error


def _own_output(transformer: Any, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    output = transformer(**inputs, return_dict=True)
    return (next(output[name] for name in OUTPUTS if name in output),)


def _export(transformer: Any, file: Path, outputs: Sequence[str], compute: Compute) -> None:
    import torch

    names = graph_inputs(transformer)

    class Positional(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = transformer

        def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return compute(dict(zip(names, values, strict=True)))

    ids = torch.ones(2, 16, dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0  # a batch with padding, so that the mask is part of what is traced
    example = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    before = transformer.config._attn_implementation
    transformer.set_attn_implementation("eager")  # the form whose parts the optimizer can fuse
    try:
        with torch.inference_mode(), last_layer_for_first_token(transformer):
            torch.onnx.export(
                Positional().eval(),
                tuple(example[name] for name in names),
                str(file),
                input_names=names,
                output_names=list(outputs),
                dynamic_axes={name: {0: "batch", 1: "tokens"} for name in [*names, outputs[0]]}
                | {name: {0: "batch"} for name in outputs[1:]},
                opset_version=OPSET,
                dynamo=False,
            )
    finally:
        transformer.set_attn_implementation(before)
