"""Which files of a model's folder are its weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

# as this package, LangChain4j and others write it; optimum and Xenova; fastembed
GRAPHS = ("model.onnx", "onnx/model.onnx", "model_optimized.onnx")
INDEX = "model.safetensors.index.json"  # of weights in several files


def find_weights(folder: Path) -> Sequence[Path]:
    """The safetensors of a folder, or else its graph; empty where it has neither, or not all of them."""
    if not all((folder / name).is_file() for name in _indexed(folder)):
        return ()
    return sorted(folder.rglob("*.safetensors")) or find_graph_files(folder)


def _indexed(folder: Path) -> set[str]:
    """The files that an index says the weights are in; none where there is none, as for weights in one file."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return set(index.get("weight_map", {}).values()) if isinstance(index, dict) else set()


def holds_safetensors(folder: Path) -> bool:
    """Whether torch can run the model."""
    return any(folder.rglob("*.safetensors"))


def find_graph(folder: Path) -> Path | None:
    """The graph that a folder holds, if it does."""
    return next((folder / name for name in GRAPHS if (folder / name).is_file()), None)


def find_graph_files(folder: Path) -> Sequence[Path]:
    """The graph that a folder holds, and where converters put the weights of one that is longer than two gigabytes."""
    graph = find_graph(folder)
    if graph is None:
        return ()
    return [graph, *sorted(path for end in ("_data*", ".data*") for path in graph.parent.glob(graph.name + end))]
