"""Where the time of a worker's request goes, by backend: tokenizing, matrix products, attention, norms, GELU, the rest.

    make bench-worker-profile
    make bench-worker-profile ARGS="--backends openvino-int8 --rounds 20"

A request has 50 pairs of about 128 tokens, as those of `make bench-worker`, and a query that no request had before. It
is scored in this process as the worker does it, one request at a time, for its processor time, and for how much of the
cores it leaves idle (or to whatever else runs here). Then the same inputs are run on one core by the backend's own
profiler, which says what share each kind of operator has; tokenizing is timed by itself. The rest of a request's
processor time is the forward pass, and is shared out as the profiler says.

Without --model the weights are all-MiniLM-L6-v2 with a fresh head of one label."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import print_result
from rerank_load import Requests
from rerank_servers import console, fresh_cross_encoder
from rich.console import Console
from rich.table import Table

from connector.models.backends import ENGINES, Backend, graph_file, identify
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.onnx.eight_bits import GROUP, weights_in_eight_bits
from connector.models.onnx.session import Feed, count_cores, has_bf16

BACKENDS: tuple[Backend, ...] = ("onnx", "onnx-int8", "openvino", "openvino-int8")
KINDS = {
    "products": {"MatMul", "Gemm", "FusedGemm", "FusedMatMul", "DynamicQuantizeMatMul", "MatMulInteger",
                 "MatMulIntegerToFloat", "DynamicQuantizeLinear", "FullyConnected", "FullyConnectedCompressed"},
    # OpenVINO's "Subgraph" is what it compiles softmax and the products around it into
    "attention": {"Attention", "QAttention", "MultiHeadAttention", "Softmax", "ScaledDotProductAttention", "Subgraph"},
    "norms": {"LayerNormalization", "SkipLayerNormalization", "EmbedLayerNormalization", "QEmbedLayerNormalization",
              "MVN"},
    "GELU": {"Gelu", "BiasGelu", "FastGelu", "Erf"},
}  # fmt: skip
PARTS = ("tokenizing", *KINDS, "other")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of a cross-encoder with one label")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--pairs", type=int, default=50, help="of each request")
    parser.add_argument("--rounds", type=int, default=10, help="requests that are timed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-profile-") as folder:
        model = options.model or str(fresh_cross_encoder(Path(folder) / "cross-encoder"))
        found = {}
        for backend in options.backends:
            console.print(f"profiling {backend}")
            found[backend] = profile(model, backend, options.pairs, options.rounds, Path(folder))
    show(found)
    print_result({"bench": "worker-profile", "pairs": options.pairs, "backends": found})


def profile(model: str, backend: Backend, pairs: int, rounds: int, folder: Path) -> dict[str, Any]:
    """What a request takes, the median of the rounds, and the share of each part in its processor time."""
    scorer = CrossEncoderScorer(model, backend=backend)
    requests = Requests()
    feeds = record_inputs(scorer, requests.next(pairs))
    took = sorted(time_request(scorer, requests.next(pairs)) for _ in range(rounds))
    cpu_s, seconds = took[len(took) // 2]
    tokenizing_s = time_tokenizing(scorer, requests.next(pairs))
    file = graph_file(identify(Path(model), "cross-encoder"), backend)
    by_operator = PROFILERS[ENGINES[backend].partition("-")[0]](file, backend, feeds, folder)
    forward = 1 - min(tokenizing_s / cpu_s, 1)
    kinds = kinds_of(by_operator)
    shares = {"tokenizing": 1 - forward} | {kind: forward * share for kind, share in kinds.items()}
    return {
        "request_ms": round(1000 * seconds, 1),
        "cpu_ms": round(1000 * cpu_s, 1),
        "idle": round(max(1 - cpu_s / (seconds * count_cores()), 0.0), 3),
        "shares": {part: round(shares[part], 3) for part in PARTS},
        "operators": {name: round(value / by_operator.total(), 3) for name, value in by_operator.most_common(8)},
    }


def record_inputs(scorer: Any, request: dict[str, Any]) -> list[Feed]:
    """The pieces that a request is run in; the first request, which sets things up, is not timed."""
    session, feeds = scorer._runtime._session, []
    run_one = session._run_one

    def recording(output: str, feed: Feed) -> Any:
        feeds.append(feed)
        return run_one(output, feed)

    session._run_one = recording
    scorer.score(request["query"], request["texts"])
    session._run_one = run_one
    return feeds


def time_request(scorer: CrossEncoderScorer, request: dict[str, Any]) -> tuple[float, float]:
    """Seconds of the processor, and on the clock."""
    began, began_cpu = time.perf_counter(), time.process_time()
    scorer.score(request["query"], request["texts"])
    return time.process_time() - began_cpu, time.perf_counter() - began


def time_tokenizing(scorer: Any, request: dict[str, Any]) -> float:
    """Seconds of the processor for both times that a request's texts are tokenized: alone, to cut them, and in
    pairs."""
    tokenizer, query, texts = scorer._runtime.tokenizer, request["query"], request["texts"]
    began = time.process_time()
    tokenizer.encode_batch([query, *texts], add_special_tokens=False)
    tokenizer.encode_batch([(query, text) for text in texts])
    return time.process_time() - began


def profile_in_onnxruntime(file: Path, backend: Backend, feeds: list[Feed], folder: Path) -> Counter[str]:
    """Operator -> microseconds, over all pieces."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / f"{backend}-profile")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    for feed in feeds:
        session.run(None, {name: feed[name] for name in names})
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    took: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            took[event["args"]["op_name"]] += event["dur"]
    return took


def profile_in_openvino(file: Path, backend: Backend, feeds: list[Feed], folder: Path) -> Counter[str]:
    """The same. A MatMul that is none of the layers' is attention's."""
    import openvino

    core = openvino.Core()
    model = core.read_model(file)
    how: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "bf16" if has_bf16() else "f32", "PERF_COUNT": True}
    if backend == "openvino-int8":
        model = weights_in_eight_bits(model)
        how["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = GROUP
    request = core.compile_model(model, "CPU", how | {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1})
    infer = request.create_infer_request()
    names = [value.get_any_name() for value in request.inputs]
    took: Counter[str] = Counter()
    for feed in feeds * 2:  # kernels are compiled at the first run of each shape
        infer.infer({name: feed[name] for name in names}, share_inputs=True)
        for node in infer.profiling_info:
            name = "Attention" if node.node_type == "MatMul" else node.node_type
            took[name] += int(node.real_time.total_seconds() * 1e6)
    return took


PROFILERS: dict[str, Callable[[Path, Backend, list[Feed], Path], Counter[str]]] = {
    "onnxruntime": profile_in_onnxruntime,
    "openvino": profile_in_openvino,
}


def kinds_of(by_operator: Counter[str]) -> dict[str, float]:
    """Kind -> its share of the forward pass."""
    known = {kind: sum(by_operator[name] for name in names) / by_operator.total() for kind, names in KINDS.items()}
    return known | {"other": 1 - sum(known.values())}


def show(found: dict[str, Any]) -> None:
    table = Table(title="one request: shares of its processor time", title_justify="left", show_edge=False)
    for column in ("backend", "ms", "ms of the processor", "idle", *PARTS):
        table.add_column(column)
    for backend, figures in found.items():
        shares = (f"{figures['shares'][part]:.2f}" for part in PARTS)
        table.add_row(
            backend, f"{figures['request_ms']:.0f}", f"{figures['cpu_ms']:.0f}", f"{figures['idle']:.2f}", *shares
        )
    Console(highlight=False, width=140).print(table)


if __name__ == "__main__":
    main()
