"""The forms of a graph: its operators fused, its matrices in eight bits; and where graphs are made."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from connector.errors import ModelError
from connector.models.onnx.session import has_vnni

# in 32 bits with operators fused for onnxruntime, that in eight bits, or in 32 bits of operators that all engines
# know: OpenVINO fuses by itself
Form = Literal["fp32", "int8", "plain"]
# families whose graphs onnxruntime's optimizer knows as BERT; others are run as they are
LIKE_BERT = frozenset({"bert", "distilbert", "roberta", "xlm-roberta", "camembert", "electra"})
# operators of what has been made of eight bits
EIGHT_BITS = frozenset({"MatMulInteger", "DynamicQuantizeLinear", "QAttention", "QLinearMatMul", "QuantizeLinear"})
LEFT_AFTER_S = 24 * 3600


def fuse(file: Path, folder: Path, *, heads: int, dims: int) -> Any:
    """A graph of BERT's family with operators fused, as a model. `folder` is for what is written on the way."""
    import onnx
    from onnxruntime.transformers import optimizer

    fused = optimizer.optimize_model(str(file), model_type="bert", num_heads=heads, hidden_size=dims, opt_level=0)
    target = folder / "fused.onnx"
    fused.save_model_to_file(str(target))
    return onnx.load(target)


def quantize(model: Any, folder: Path, *, leave_out: Sequence[str] = ()) -> Any:
    """A model with its weights in eight bits with one scale per output channel, activations at run time.

    Seven bits of them where the processor multiplies bytes without VNNI, whose sums of two products would overflow.
    `leave_out` names operators that stay as they are; `folder` is for what is written on the way. A model that
    somebody else has made of eight bits stays as it is."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    if is_quantized(model):
        return model
    target = folder / "int8.onnx"
    quantize_dynamic(
        model,
        target,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=not has_vnni(),
        nodes_to_exclude=list(leave_out),
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    return onnx.load(target)


def is_quantized(model: Any) -> bool:
    return any(node.op_type in EIGHT_BITS for node in model.graph.node)


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


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporters' remarks on their own inner workings; other threads are heard."""
    remarks = _Remarks()
    last = logging.lastResort
    handlers = [*logging.root.handlers, *filter(None, [last])]
    # where a command has no log, logging.warning would make a handler, of which the filter knows nothing
    made = last if last and not logging.root.handlers else None
    if made:
        logging.root.addHandler(made)
    for handler in handlers:
        handler.addFilter(remarks)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler in handlers:
            handler.removeFilter(remarks)
        if made:
            logging.root.removeHandler(made)


class _Remarks(logging.Filter):
    """Keeps back what the thread that made it says, up to a warning."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread or record.levelno > logging.WARNING
