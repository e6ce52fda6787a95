"""A graph made of what a model's folder holds, without torch: built from the weights, or out of a graph that is
there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from connector.errors import ModelError
from connector.models.description import read_recipe, read_text_head, require_plain_pairs
from connector.models.files import has_safetensors, read_config, read_json
from connector.models.model import ModelKind
from connector.models.onnx.assembly import Assembly, move_graph, save_graph
from connector.models.onnx.bert import Bert, why_not
from connector.models.onnx.forms import Form, quantize, quiet, workshop
from connector.models.onnx.found import LOGIT_OUTPUTS, TEXT_OUTPUTS, TOKEN_OUTPUTS, FoundGraph
from connector.models.onnx.heads import add_classifier
from connector.models.onnx.pairs import LOGITS
from connector.models.onnx.pooling import add_text_head
from connector.models.onnx.runtime import TEXT_VECTOR, TOKEN_VECTORS, move_recipe, write_recipe
from connector.models.onnx.weights import ModelWeights
from connector.models.places.weights import find_graph
from connector.models.versions import installed

BUILT_AS = 1  # goes up when graphs are built in another way, so that older ones are not taken
Way = Literal["built", "found", "exported"]


def find_way(folder: Path, kind: ModelKind) -> tuple[Way, str]:
    """How the graph of the model in a folder is made; where torch has to export it, why."""
    if not (folder / "tokenizer.json").is_file():
        return "exported", "it has no tokenizer.json"
    if not has_safetensors(folder):
        return ("found", "") if find_graph(folder) else ("exported", "its weights are in folders of their own")
    try:
        why = why_not(read_config(folder))
        require_plain_pairs(folder) if kind == "cross-encoder" else read_text_head(folder)
    except ModelError as error:
        why = str(error)
    if why and find_graph(folder) and not installed("torch"):
        return "found", ""
    return ("exported", why) if why else ("built", "")


def make_graph(folder: Path, kind: ModelKind, file: Path, form: Form) -> None:
    """Write the graph of the model in `folder`, from token ids to vectors or logits, and the recipe beside it.

    Raises ModelError."""
    way, _ = find_way(folder, kind)
    if kind == "cross-encoder":
        make = _build_cross_encoder if way == "built" else _take_cross_encoder
    else:
        make = _build_encoder if way == "built" else _take_encoder
    with workshop(file.parent) as scratch, quiet():
        model, dims = make(folder, form, scratch)
        made = scratch / file.name
        save_graph(model, made)
        write_recipe(made, read_recipe(folder, dims))
        move_recipe(made, file)  # first, so that there is no graph without
        move_graph(made, file)


def _build_encoder(folder: Path, form: Form, scratch: Path) -> tuple[Any, int]:
    """The graph from the weights, and the dimensions of a text's vector."""
    head = read_text_head(folder)
    with _every_weight(folder):
        bert = _bert(folder, form)
        tokens = bert.graph.rename(bert.encode(), TOKEN_VECTORS)
        dims = add_text_head(bert.graph, tokens, head, TEXT_VECTOR, dims=bert.dims)
    model = bert.graph.model(bert.inputs, _shapes(bert.dims, dims))
    return quantize(model, scratch) if form == "int8" else model, dims


def _build_cross_encoder(folder: Path, form: Form, scratch: Path) -> tuple[Any, int]:
    """The graph from the weights, and how many labels it has."""
    with _every_weight(folder):
        bert = _bert(folder, form)
        labels, head = add_classifier(bert, LOGITS)
    model = bert.graph.model(bert.inputs, {LOGITS: ["batch", labels]})
    return quantize(model, scratch, leave_out=head) if form == "int8" else model, labels


def _bert(folder: Path, form: Form) -> Bert:
    config = read_config(folder)
    given = read_json(folder / "tokenizer_config.json").get("model_input_names")
    if given and "token_type_ids" not in given:
        config["type_vocab_size"] = 1  # of whatever types there are the model is given the first
    return Bert(config, ModelWeights(folder), fused=form != "plain")


@contextmanager
def _every_weight(folder: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, StopIteration) as error:
        raise ModelError(f"the weights in {folder} lack {error}; run the model with backend: torch") from error


def _take_encoder(folder: Path, form: Form, scratch: Path) -> tuple[Any, int]:
    """The graph that the folder holds, and the dimensions of a text's vector."""
    config, graph = _found(folder, form, scratch)
    tokens, text = graph.find(TOKEN_OUTPUTS, 3), graph.find(TEXT_OUTPUTS, 2)
    if not tokens:
        raise ModelError(f"the graph in {graph.file} gives {', '.join(graph.outputs)}, and no vectors of tokens")
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
    model = graph.keep(_shapes(width, dims))
    return quantize(model, scratch) if form == "int8" and not graph.is_quantized else model, dims


def _take_cross_encoder(folder: Path, form: Form, scratch: Path) -> tuple[Any, int]:
    """The graph that the folder holds, and how many labels it has."""
    config, graph = _found(folder, form, scratch)
    require_plain_pairs(folder)
    logits = graph.find(LOGIT_OUTPUTS, 2)
    if not logits:
        raise ModelError(f"the graph in {graph.file} gives {', '.join(graph.outputs)}, and no logits")
    labels = graph.outputs[logits][-1] or len(config.get("id2label") or ["one"])
    graph.rename(logits, LOGITS)
    model = graph.keep({LOGITS: ["batch", labels]})
    return quantize(model, scratch) if form == "int8" and not graph.is_quantized else model, labels


def _found(folder: Path, form: Form, scratch: Path) -> tuple[dict[str, Any], FoundGraph]:
    """What config.json says, and the graph."""
    file = find_graph(folder)
    if file is None:
        raise ModelError(f"{folder} has neither safetensors nor a graph")
    config = read_json(folder / "config.json")
    return config, FoundGraph(file, config, fused=form != "plain", scratch=scratch)


def _shapes(width: int, dims: int) -> dict[str, list[str | int]]:
    return {TOKEN_VECTORS: ["batch", "tokens", width or "width"], TEXT_VECTOR: ["batch", dims or "dims"]}
