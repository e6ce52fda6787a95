"""What matrix products of a model's shape reach here at most: what a server's pace is a share of.

    make bench-gemm
    make bench-gemm ARGS="--hidden 768 --inner 3072"

`make bench-worker` measures it too, and says which share of it the worker reaches."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import print_result

from connector.models.onnx.session import has_bf16

TOKENS = 4_096  # of a full batch
ROUNDS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--inner", type=int, default=1_536)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    reached = gemm_gflops(options.hidden, options.inner, tokens=options.tokens, rounds=options.rounds)
    for name, gflops in reached.items():
        print(f"{name}: {gflops:,.0f} GFLOP/s")
    print_result(
        {
            "bench": "gemm",
            "shape": [options.tokens, options.hidden, options.inner],
            "gemm_gflop_per_s": {name: round(gflops, 1) for name, gflops in reached.items()},
        }
    )


def gemm_gflops(hidden: int, inner: int, *, tokens: int = TOKENS, rounds: int = ROUNDS) -> dict[str, float]:
    """GFLOP/s on all cores of [tokens, hidden] by [hidden, inner], the best of several rounds: fp32 and, where the
    processor has it, bf16 in torch, int8 in onnxruntime, with the activations made eight bits wide as a quantized graph
    does it."""
    import torch

    products = {
        "fp32": _in_torch(torch.float32, tokens, hidden, inner),
        "int8": _int8(tokens, hidden, inner),
    }
    if has_bf16():
        products["bf16"] = _in_torch(torch.bfloat16, tokens, hidden, inner)
    work = 2 * tokens * hidden * inner / 1e9
    return {name: work / _fastest(product, rounds) for name, product in products.items()}


def pair_gflop(config: dict[str, Any], tokens: float) -> float:
    """What a BERT-shaped model computes for an input of so many tokens: its matrices, and attention (2 products of
    tokens by tokens)."""
    hidden, inner, layers = (config[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    matrices = 2 * tokens * (4 * hidden * hidden + 2 * hidden * inner)
    attention = 4 * tokens * tokens * hidden
    return float(layers * (matrices + attention) / 1e9)


def _in_torch(kind: Any, tokens: int, hidden: int, inner: int) -> Callable[[], object]:
    import torch

    left, right = torch.randn(tokens, hidden, dtype=kind), torch.randn(inner, hidden, dtype=kind)
    return lambda: torch.nn.functional.linear(left, right)


def _int8(tokens: int, hidden: int, inner: int) -> Callable[[], object]:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    chance = np.random.default_rng(1)
    weights = chance.integers(-64, 64, size=(hidden, inner), dtype=np.int8)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["quantized", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["quantized", "weights", "zero"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [tokens, hidden])
    y = helper.make_tensor_value_info("y", TensorProto.INT32, [tokens, inner])
    graph = helper.make_graph(nodes, "product", [x], [y], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {"x": chance.standard_normal((tokens, hidden), dtype=np.float32)}
    return lambda: session.run(None, given)


def _fastest(product: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest round."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        product()
        took.append(time.perf_counter() - began)
    return min(took)


if __name__ == "__main__":
    main()
