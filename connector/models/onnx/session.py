"""A graph at work on a CPU, in onnxruntime or OpenVINO: a batch is cut into pieces that fit a core's cache, and each
core takes some."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from connector.errors import MissingExtra, ModelError
from connector.extras import needs
from connector.models.batching import batches
from connector.models.onnx.eight_bits import GROUP, weights_in_eight_bits

GraphEngine = Literal["onnxruntime", "openvino", "openvino-int8"]
Feed = Mapping[str, NDArray[np.int64]]  # inputs [batch, tokens] by name
PIECE_TOKENS = 512  # padded; what a layer makes of more does not fit the second cache of a core
# widths of pieces are multiples of this where the batch is as wide: OpenVINO compiles its kernels for each shape
WIDTHS: dict[GraphEngine, int] = {"onnxruntime": 1, "openvino": 16, "openvino-int8": 16}
log = logging.getLogger(__name__)
RunOne = Callable[[str, Feed], NDArray[np.float32]]  # an output, by name


class Session:
    """A graph that may be run from several threads. Raises ModelError where it cannot be loaded."""

    inputs: list[str]
    outputs: dict[str, int]  # how many dimensions each has

    def __init__(self, file: Path, engine: GraphEngine = "onnxruntime") -> None:
        self._cores = count_cores()
        open_graph = OPENING[engine]
        try:
            self._run_one, self.inputs, self.outputs = open_graph(file, self._cores)
        except (ModelError, MissingExtra):
            raise
        except Exception as error:  # onnxruntime's errors have no class in common but Exception
            log.debug("the graph cannot be loaded", exc_info=True)
            raise ModelError(f"cannot load the graph in {file} ({error}); delete it, and it is made anew") from error
        self._widths = WIDTHS[engine]
        self._pool = ThreadPoolExecutor(self._cores, thread_name_prefix="graph")

    def run(self, output: str, feed: Feed) -> NDArray[np.float32]:
        """One output of the graph, [batch, dims] or [batch, tokens, dims] with zeros where a row is padded. The feed
        has an attention_mask. A single row takes one core. Raises RuntimeError."""
        mask = feed["attention_mask"].astype(bool)
        lengths = mask.sum(axis=1)
        budget = min(PIECE_TOKENS, -(-int(lengths.sum()) // self._cores))
        pieces = [_cut(feed, mask, rows, self._widths) for rows in batches(lengths.tolist(), max_batch_tokens=budget)]
        run_one = partial(self._run_one, output)
        try:
            if len(pieces) == 1:
                found = [run_one(pieces[0].feed)]
            else:
                found = list(self._pool.map(run_one, [piece.feed for piece in pieces]))
        except Exception as error:  # onnxruntime's errors have no class in common but Exception
            log.debug("the graph cannot be run", exc_info=True)
            raise RuntimeError(str(error)) from error
        by_token = self.outputs[output] == 3
        values = np.zeros((*mask.shape, found[0].shape[2]) if by_token else (len(mask), found[0].shape[1]), np.float32)
        for piece, own in zip(pieces, found, strict=True):
            if by_token:
                values[piece.rows, piece.tokens] = own
            else:
                values[piece.rows] = own
        return values


@dataclass(frozen=True, slots=True)
class _BatchPiece:
    """Some rows of a batch, without most of the columns in which all of them are padded."""

    rows: list[int]
    tokens: slice
    feed: Feed


def _cut(feed: Feed, mask: NDArray[np.bool_], rows: list[int], widths: int) -> _BatchPiece:
    used = np.flatnonzero(mask[rows].any(axis=0))
    wide = mask.shape[1]
    first, length = (int(used[0]), int(used[-1] - used[0]) + 1) if len(used) else (0, wide)
    length = min(-(-length // widths) * widths, wide)
    start = min(first, wide - length)  # padding is on either side
    tokens = slice(start, start + length)
    return _BatchPiece(
        rows, tokens, {name: np.ascontiguousarray(values[rows, tokens]) for name, values in feed.items()}
    )


def _open_in_onnxruntime(file: Path, cores: int) -> tuple[RunOne, list[str], dict[str, int]]:
    with needs("local", "a model in this process"):
        import onnxruntime
    onnxruntime.disable_telemetry_events()  # where it was imported before this package: see no_telemetry.py
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    inputs = [value.name for value in session.get_inputs()]

    def run_one(output: str, feed: Feed) -> NDArray[np.float32]:
        values: NDArray[np.float32] = session.run([output], {name: feed[name] for name in inputs})[0]
        return values

    return run_one, inputs, {value.name: len(value.shape) for value in session.get_outputs()}


def _open_in_openvino(file: Path, cores: int, *, eight_bits: bool = False) -> tuple[RunOne, list[str], dict[str, int]]:
    with needs("openvino", "worker.backend: openvino"):
        import openvino
    how = {
        "INFERENCE_PRECISION_HINT": "bf16" if has_bf16() else "f32",
        "INFERENCE_NUM_THREADS": cores,
        "NUM_STREAMS": cores,
    }
    core = openvino.Core()
    model = core.read_model(file)
    if eight_bits:
        model = weights_in_eight_bits(model)
        how["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = GROUP
    compiled = core.compile_model(model, "CPU", how)
    requests: SimpleQueue[Any] = SimpleQueue()
    for _ in range(cores):
        requests.put(compiled.create_infer_request())
    inputs = [value.get_any_name() for value in compiled.inputs]

    def run_one(output: str, feed: Feed) -> NDArray[np.float32]:
        request = requests.get()
        try:
            request.infer({name: feed[name] for name in inputs}, share_inputs=True)
            values: NDArray[np.float32] = request.get_tensor(output).data.copy()
            return values
        finally:
            requests.put(request)

    # OpenVINO leaves out what changes nothing, and what came out of it has several names then
    outputs = {name: len(value.get_partial_shape()) for value in compiled.outputs for name in value.get_names()}
    # its binding sets itself up at the first run, and two threads that do so at once wait for each other for ever
    run_one(next(iter(outputs)), {name: np.ones((1, 1), dtype=np.int64) for name in inputs})
    return run_one, inputs, outputs


OPENING: dict[GraphEngine, Callable[[Path, int], tuple[RunOne, list[str], dict[str, int]]]] = {
    "onnxruntime": _open_in_onnxruntime,
    "openvino": _open_in_openvino,
    "openvino-int8": partial(_open_in_openvino, eight_bits=True),
}


def count_cores() -> int:
    """How many of the processor's cores this process may use: OMP_NUM_THREADS, else all; two threads of a core count as
    one."""
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


def has_vnni() -> bool:
    """Whether the processor adds products of bytes without overflow."""
    return _has_any("avx512_vnni", "avx_vnni", "amx_int8")


def has_bf16() -> bool:
    """Whether the processor multiplies numbers of sixteen bits (bfloat16)."""
    return _has_any("avx512_bf16", "amx_bf16")


def _has_any(*wanted: str) -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return any(name in flags for name in wanted)
