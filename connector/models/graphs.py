"""A model's transformer as an ONNX graph: exported from its weights, its operators fused, its matrices in eight bits."""

from __future__ import annotations

import inspect
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from connector.errors import ModelError

Precision = Literal["fp32", "int8"]
OPSET = 17
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("logits", "last_hidden_state")
# families whose graphs onnxruntime's optimizer knows as BERT; others are run as they are exported
LIKE_BERT = frozenset({"bert", "distilbert", "roberta", "xlm-roberta", "camembert", "electra"})


# what makes a graph's outputs out of its inputs, all tensors
Compute = Callable[[Mapping[str, Any]], tuple[Any, ...]]


def export_graph(
    transformer: Any,
    file: Path,
    precision: Precision,
    *,
    outputs: Sequence[str] = ("output",),
    compute: Compute | None = None,
) -> None:
    """Write the graph of a transformers model to `file`, whole or not at all.

    Its inputs are those of INPUTS that the model takes, int64 [batch, tokens]; its `outputs` are what `compute` makes of them
    with the model, or the first of OUTPUTS that the model gives. Raises ModelError where the model cannot be exported."""
    assert precision in get_args(Precision)
    with workshop(file.parent) as folder, _quiet():
        graph = folder / "exported.onnx"
        try:
            _export(transformer, graph, outputs, compute or partial(_own_output, transformer))
            graph = _fuse(graph, transformer.config)
            if precision == "int8":
                graph = _quantize(graph)
        except (RuntimeError, ValueError, TypeError, KeyError, NotImplementedError, AttributeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"a model of type {transformer.config.model_type!r} cannot be exported to ONNX ({reason}); "
                "run it with worker.backend: torch"
            ) from error
        os.replace(graph, file)


def open_graph(file: Path, *, threads: int = 0) -> Any:
    """onnxruntime's session of a graph, on so many `threads`; 0: on all cores. Raises ModelError."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or count_cores()
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own have no common class
        raise ModelError(f"cannot load the graph in {file} ({error}); delete it, and it is exported anew") from error


def count_cores() -> int:
    """How many of the processor's cores this process may use: OMP_NUM_THREADS, else all; two threads of a core count as one."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted):
        return int(wanted)
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return len({_core_of(cpu) for cpu in os.sched_getaffinity(0)})


def _core_of(cpu: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii")
    except OSError:
        return str(cpu)


@contextmanager
def workshop(parent: Path) -> Iterator[Path]:
    """A folder for what is being made for `parent`, which is made too. Raises ModelError."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=parent, prefix=".export-")
    except OSError as error:
        raise ModelError(
            f"a graph cannot be written to {parent} ({error.strerror}); let XDG_CACHE_HOME name a folder that can be written to"
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
        with torch.inference_mode():
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


def has_vnni() -> bool:
    """Whether the processor adds products of bytes without overflow."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return any(name in flags for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


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
