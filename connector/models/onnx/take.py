"""The graph that a model's folder holds, made into one of ours: built anew from its weights where it has kept their
names, else as it is."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connector.errors import ModelError
from connector.models.bert_family import why_not
from connector.models.description import read_recipe, read_text_head, require_plain_pairs
from connector.models.files import read_json
from connector.models.model import ModelKind
from connector.models.onnx.assemble import MadeGraph, assemble_graph, encoder_outputs
from connector.models.onnx.assembly import Assembly, save_graph
from connector.models.onnx.forms import is_quantized
from connector.models.onnx.found import LOGIT_OUTPUTS, TEXT_OUTPUTS, TOKEN_OUTPUTS, FoundGraph
from connector.models.onnx.graph_weights import WORDS, GraphWeights, read_graph_weights
from connector.models.onnx.pairs import LOGITS
from connector.models.onnx.pooling import add_text_head
from connector.models.onnx.runtime import TEXT_VECTOR, TOKEN_VECTORS
from connector.models.places.weights import find_graph

ALIKE = 1e-3  # of the largest number that a graph gives: how far one that was built anew may be off
log = logging.getLogger(__name__)


def take_graph(folder: Path, kind: ModelKind, scratch: Path, *, fused: bool) -> MadeGraph:
    """`scratch` is a folder for what is written on the way. Raises ModelError."""
    file = find_graph(folder)
    if file is None:
        raise ModelError(f"{folder} has neither safetensors nor a graph")
    graph = FoundGraph(file)
    if kind == "cross-encoder":
        require_plain_pairs(folder)
        output = graph.find(LOGIT_OUTPUTS, 2)
    else:
        output = graph.find(TOKEN_OUTPUTS, 3)
    if not output:
        wanted = "logits" if kind == "cross-encoder" else "vectors of tokens"
        raise ModelError(f"the graph in {file} gives {', '.join(graph.outputs)}, and no {wanted}")
    if built := _build_anew(folder, kind, graph, output, scratch, fused=fused):
        return built
    if fused:
        graph.fuse(read_json(folder / "config.json"), scratch)
    return (_pairs if kind == "cross-encoder" else _encoder)(folder, graph, output)


def _build_anew(
    folder: Path, kind: ModelKind, graph: FoundGraph, output: str, scratch: Path, *, fused: bool
) -> MadeGraph | None:
    """None where that cannot be done, or gives something else."""
    import onnx

    own_head = kind != "cross-encoder" and graph.find(TEXT_OUTPUTS, 2)
    if own_head or is_quantized(graph.model) or why_not(read_json(folder / "config.json")):
        return None
    weights = read_graph_weights(graph.model)
    try:
        built = assemble_graph(folder, kind, weights, fused=fused)
    except ModelError as error:
        log.debug("not built anew: %s", error)
        return None
    made = scratch / "anew.onnx"
    save_graph(built.model, made)
    ours = LOGITS if kind == "cross-encoder" else TOKEN_VECTORS
    if not _are_alike((graph.file, output), (made, ours), weights):
        log.info("the graph in %s is run as it is: built anew it gives something else", graph.file)
        return None
    return replace(built, model=onnx.load(made))  # what was saved has its weights elsewhere


def _are_alike(graph: tuple[Path, str], other: tuple[Path, str], weights: GraphWeights) -> bool:
    """Whether two graphs give the same numbers for two texts of any words, one of which is padded."""
    words = next(values for name, values in weights.items() if name.endswith(WORDS))
    ids = 5 + np.arange(48, dtype=np.int64).reshape(2, 24) * 37 % (len(words) - 5)
    mask, types = np.ones_like(ids), np.zeros_like(ids)
    mask[1, 15:], ids[1, 15:], types[:, 9:] = 0, 1, 1
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    given, made = (_run(file, output, feed) for file, output in (graph, other))
    if given.ndim == 3:
        given, made = given[mask.astype(bool)], made[mask.astype(bool)]
    return bool(np.abs(given - made).max() <= ALIKE * np.abs(given).max())


def _run(file: Path, output: str, feed: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (values,) = session.run([output], {value.name: feed[value.name] for value in session.get_inputs()})
    return np.asarray(values, dtype=np.float32)


def _encoder(folder: Path, graph: FoundGraph, tokens: str) -> MadeGraph:
    config = read_json(folder / "config.json")
    text = graph.find(TEXT_OUTPUTS, 2)
    width = graph.outputs[tokens][-1] or int(config.get("hidden_size") or config.get("dim") or 0)
    dims = (graph.outputs[text][-1] if text else 0) or width
    if text:
        graph.rename(text, TEXT_VECTOR)
    graph.rename(tokens, TOKEN_VECTORS)
    if not text:
        added = Assembly("text/")
        pad_on = read_recipe(folder, 0).pad_on
        dims = add_text_head(added, TOKEN_VECTORS, read_text_head(folder), TEXT_VECTOR, dims=width, pad_on=pad_on)
        graph.add(added)
    return MadeGraph(graph.keep(encoder_outputs(width, dims)), dims)


def _pairs(folder: Path, graph: FoundGraph, logits: str) -> MadeGraph:
    labels = graph.outputs[logits][-1] or len(read_json(folder / "config.json").get("id2label") or ["one"])
    graph.rename(logits, LOGITS)
    return MadeGraph(graph.keep({LOGITS: ["batch", labels]}), labels)
