"""A model's transformer as an ONNX graph: exported from its weights, its operators fused, its matrices in eight
bits."""

from __future__ import annotations

import inspect
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from connector.errors import ModelError
from connector.models.onnx.first_token import last_layer_for_first_token
from connector.models.onnx.session import has_vnni

# in 32 bits with operators fused for onnxruntime, that in eight bits, or in 32 bits as exported: OpenVINO fuses by
# itself
Form = Literal["fp32", "int8", "plain"]
OPSET = 17
LEFT_AFTER_S = 24 * 3600
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("logits", "last_hidden_state")
# families whose graphs onnxruntime's optimizer knows as BERT; others are run as they are exported
LIKE_BERT = frozenset({"bert", "distilbert", "roberta", "xlm-roberta", "camembert", "electra"})


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
    with workshop(file.parent) as folder, _quiet():
        graph = folder / "exported.onnx"
        try:
            _export(transformer, graph, outputs, compute or partial(_own_output, transformer))
            if form != "plain":
                graph = _fuse(graph, transformer.config)
            if form == "int8":
                graph = _quantize(graph)
        except (RuntimeError, ValueError, TypeError, KeyError, NotImplementedError, AttributeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"a model of type {transformer.config.model_type!r} cannot be exported to ONNX ({reason}); "
                "run it with worker.backend: torch"
            ) from error
        os.replace(graph, file)


@contextmanager
def workshop(parent: Path) -> Iterator[Path]:
    """A folder for what is being made for `parent`, which is made too. One that a killed process left there a day ago
    goes.

    Raises ModelError."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob(".export-*"):
            with suppress(FileNotFoundError):  # another export has just ended
                if time.time() - left.stat().st_mtime > LEFT_AFTER_S:
                    shutil.rmtree(left, ignore_errors=True)
        folder = tempfile.TemporaryDirectory(dir=parent, prefix=".export-")
    except OSError as error:
        raise ModelError(
            f"a graph cannot be written to {parent} ({error.strerror}); "
            "let XDG_CACHE_HOME name a folder that can be written to"
        ) from error
    with folder as path:
        yield Path(path)


def graph_inputs(transformer: Any) -> list[str]:
    """Those of INPUTS that the model's forward takes and its configuration has a use for."""
    takes = inspect.signature(transformer.forward).parameters
    typed = getattr(transformer.config, "type_vocab_size", 0) or 0
    return [name for name in INPUTS if name in takes and (name != "token_type_ids" or typed > 1)]


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


def _fuse(file: Path, config: Any) -> Path:
    if config.model_type not in LIKE_BERT:
        return file
    from onnxruntime.transformers import optimizer

    fused = optimizer.optimize_model(
        str(file), model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size, opt_level=0
    )
    target = file.with_name("fused.onnx")
    fused.save_model_to_file(str(target))
    return target


def _quantize(file: Path) -> Path:
    """Weights in eight bits with one scale per output channel, activations at run time.

    Seven bits of them where the processor multiplies bytes without VNNI, whose sums of two products would overflow."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = file.with_name("int8.onnx")
    quantize_dynamic(
        file,
        target,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=not has_vnni(),
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    return target


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks on their own inner workings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
