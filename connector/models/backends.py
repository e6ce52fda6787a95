"""What runs a model's network, torch or its ONNX graph in onnxruntime or OpenVINO, and where graphs are kept."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from connector.models.cache import cache_folder
from connector.models.families import find_family
from connector.models.files import model_sha256
from connector.models.hashes import file_sha256
from connector.models.model import ModelKind
from connector.models.onnx.build import BUILT_AS, find_way, make_graph
from connector.models.onnx.export import export_graph
from connector.models.onnx.forms import Form
from connector.models.onnx.pairs import GraphPairs
from connector.models.onnx.runtime import GraphRuntime
from connector.models.onnx.session import WIDTHS, GraphEngine, Session, has_bf16, has_vnni
from connector.models.pairs import PairRuntime
from connector.models.places.weights import find_graph_files
from connector.models.runtime import Runtime
from connector.models.torch_pairs import TorchPairs
from connector.models.torch_runtime import TorchRuntime
from connector.models.versions import installed

Backend = Literal["torch", "onnx", "onnx-int8", "openvino", "openvino-int8"]
# of those that run a graph
FORMS: dict[Backend, Form] = {"onnx": "fp32", "onnx-int8": "int8", "openvino": "plain", "openvino-int8": "plain"}
ENGINES: dict[Backend, GraphEngine] = {
    "onnx": "onnxruntime",
    "onnx-int8": "onnxruntime",
    "openvino": "openvino",
    "openvino-int8": "openvino-int8",
}
EXPORTED_AS = 3  # goes up when graphs are made in another way, so that older ones are not taken
log = logging.getLogger(__name__)


def identify(folder: Path, kind: ModelKind) -> str:
    """Names a model's weights and configuration, how it is used and what makes its graph; an encoder and late
    interaction share one graph."""
    used_as = "cross-encoder" if kind == "cross-encoder" else "encoder"
    way, _ = find_way(folder, kind)
    made_by = [str(BUILT_AS)]
    if way == "exported":
        made_by = [installed(name) for name in ("torch", "transformers", "sentence-transformers")]
    elif way == "found":
        made_by += [file_sha256(file) for file in find_graph_files(folder)]
    # its family, which goes by the folder's name too, says what the folder does not
    return f"{model_sha256(folder)}:{find_family(folder)}:{used_as}:{way}:{' '.join(made_by)}"


def graph_file(identity: str, backend: Backend) -> Path:
    """Where the graph of the model that `identity` names is kept: under all that it depends on, so that it is never
    another's."""
    made_for = has_vnni() if backend == "onnx-int8" else None
    parts = (identity, FORMS[backend], made_for, installed("onnxruntime"), EXPORTED_AS)
    return cache_folder() / "graphs" / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.onnx"


def agreement_file(identity: str, backend: Backend) -> Path:
    """Where it is kept how well a reranker's graph agreed with the original over the sample of agreement.py."""
    return graph_file(identity, backend).with_suffix(f".{backend}.json")


def exactness(backend: Backend) -> str:
    """What a fingerprint says of a backend: nothing where the scores are the original's."""
    if backend == "openvino":
        return ":bf16" if has_bf16() else ""
    return {"onnx-int8": ":int8", "openvino-int8": ":openvino-int8"}.get(backend, "")


def open_runtime(folder: Path, backend: Backend, *, device: str | None = None) -> Runtime:
    """What runs the encoder in a model folder. A graph that the cache does not have is made first: built, or of what
    cannot be built exported by torch. Raises ModelError, and MissingExtra."""
    if backend == "torch":
        return TorchRuntime(folder, device=device)
    file = _find_graph(identify(folder, "encoder"), backend, partial(_make_encoder, folder, FORMS[backend]))
    return GraphRuntime(file, ENGINES[backend])


def open_pair_runtime(folder: Path, backend: Backend, *, device: str | None = None) -> PairRuntime:
    """What runs the cross-encoder in a model folder, as open_runtime does an encoder. A graph that torch exports
    replaces the transformer inside sentence-transformers, whose templates and heads are of many kinds."""
    if backend == "torch":
        return TorchPairs(folder, device=device)
    identity, form, engine = identify(folder, "cross-encoder"), FORMS[backend], ENGINES[backend]
    way, why = find_way(folder, "cross-encoder")
    if way != "exported":
        return GraphPairs(_find_graph(identity, backend, partial(_make_cross_encoder, folder, form)), engine)
    why = f"the graph of the cross-encoder in {folder} ({why})"
    runtime = TorchPairs(folder, device="cpu", widths=WIDTHS[engine], why=why)
    transformer = runtime.model[0].model
    file = _find_graph(identity, backend, lambda file: export_graph(transformer, file, form))
    runtime.model[0].model = load_graph(file, transformer, engine)
    return runtime


def _make_encoder(folder: Path, form: Form, file: Path) -> None:
    way, why = find_way(folder, "encoder")
    if way == "exported":
        TorchRuntime(folder, device="cpu", why=f"the graph of the model in {folder} ({why})").export(file, form)
    else:
        make_graph(folder, "encoder", file, form)


def _make_cross_encoder(folder: Path, form: Form, file: Path) -> None:
    make_graph(folder, "cross-encoder", file, form)


def _find_graph(identity: str, backend: Backend, export: Callable[[Path], None]) -> Path:
    """The file of a graph: see graph_file."""
    file = graph_file(identity, backend)
    if not file.exists():
        log.info("making a graph for %s; the next start finds it in %s", backend, file)
        export(file)
    return file


def load_graph(file: Path, transformer: Any, engine: GraphEngine = "onnxruntime") -> Any:
    """The graph as a module that is called as the transformer is, and gives what its output is called there."""
    import torch
    from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

    session = Session(file, engine)
    name, dimensions = next(iter(session.outputs.items()))
    classifies = dimensions == 2  # [batch, labels], not [batch, tokens, dims]
    config = transformer.config  # not the transformer itself, whose weights the graph replaces

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = config
            self.device = torch.device("cpu")
            self.dtype = torch.float32

        def forward(self, **features: Any) -> Any:
            tensor = torch.from_numpy(
                session.run(name, {column: _column(features, column) for column in session.inputs})
            )
            return SequenceClassifierOutput(logits=tensor) if classifies else BaseModelOutput(last_hidden_state=tensor)

    return Graph()


def _column(features: dict[str, Any], name: str) -> Any:
    column = features.get(name)
    return (features["input_ids"] * 0 if column is None else column).numpy()
