"""What runs a model's transformer: torch, or its ONNX graph in onnxruntime, which is faster on a CPU."""

from __future__ import annotations

import hashlib
import logging
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from connector.errors import ModelError
from connector.models.graphs import Precision, export_graph, has_vnni

Backend = Literal["torch", "onnx", "onnx-int8"]
PRECISIONS: dict[Backend, Precision] = {"onnx": "fp32", "onnx-int8": "int8"}
log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where what can be made again is kept: $XDG_CACHE_HOME/hybrid-search-connector, ~/.cache without that variable."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "hybrid-search-connector"


def graph_file(identity: str, backend: Backend) -> Path:
    """Where the graph of a model is kept, whose weights and kind `identity` names: under all that it depends on, so that it is never another's."""
    made_by = [version(name) for name in ("torch", "transformers", "onnxruntime")]
    made_for = has_vnni() if backend == "onnx-int8" else None
    key = hashlib.sha256(repr((identity, backend, made_for, made_by)).encode()).hexdigest()[:16]
    return cache_folder() / "graphs" / f"{key}.onnx"


def agreement_file(identity: str, backend: Backend) -> Path:
    """Where it is kept how well the graph agreed with the original; a graph without it is not used."""
    return graph_file(identity, backend).with_suffix(".json")


def exactness(backend: Backend) -> str:
    """What a fingerprint says of a backend: nothing where the scores are the original's."""
    return ":int8" if backend == "onnx-int8" else ""


def use_backend(model: Any, backend: Backend, *, identity: str) -> None:
    """Let `backend` run the transformer of a sentence-transformers model, whose other modules stay as they are. Raises ModelError."""
    if backend != "torch":
        model[0].model = load_graph(find_graph(model[0].model, backend, identity=identity), model[0].model)


def find_graph(transformer: Any, backend: Backend, *, identity: str) -> Path:
    """The file of a transformer's graph, which is exported where the cache has none of that identity: see graph_file.

    Raises ModelError."""
    file = graph_file(identity, backend)
    if not file.exists():
        log.info("exporting a graph for %s; the next start finds it in %s", backend, file)
        export_graph(transformer, file, PRECISIONS[backend])
    return file


def load_graph(file: Path, transformer: Any, *, threads: int = 0) -> Any:
    """The graph as a module that is called as the transformer is, and gives what its output is called there.

    It runs on so many `threads`; 0: on as many as torch does, which OMP_NUM_THREADS can limit."""
    import onnxruntime
    import torch
    from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own have no common class
        raise ModelError(f"cannot load the graph in {file} ({error}); delete it, and it is exported anew") from error
    names = [one.name for one in session.get_inputs()]
    classifies = len(session.get_outputs()[0].shape) == 2  # [batch, labels], not [batch, tokens, dims]
    config = transformer.config  # not the transformer itself, whose weights the graph replaces

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = config
            self.device = torch.device("cpu")
            self.dtype = torch.float32

        def forward(self, **features: Any) -> Any:
            (output,) = session.run(None, {name: _column(features, name) for name in names})
            tensor = torch.from_numpy(output)
            return SequenceClassifierOutput(logits=tensor) if classifies else BaseModelOutput(last_hidden_state=tensor)

    return Graph()


def _column(features: dict[str, Any], name: str) -> Any:
    column = features.get(name)
    return (features["input_ids"] * 0 if column is None else column).numpy()
