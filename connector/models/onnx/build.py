"""A graph made of what a model's folder holds, without torch: built from the weights, or out of a graph that is
there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from connector.errors import ModelError
from connector.models.description import read_recipe, read_text_head
from connector.models.files import has_safetensors, read_config, read_json
from connector.models.onnx.assembly import Assembly, move_graph, save_graph
from connector.models.onnx.bert import Bert, why_not
from connector.models.onnx.forms import Form, quantize, quiet, workshop
from connector.models.onnx.found import TEXT_OUTPUTS, TOKEN_OUTPUTS, FoundGraph
from connector.models.onnx.pooling import add_text_head
from connector.models.onnx.runtime import TEXT_VECTOR, TOKEN_VECTORS, move_recipe, write_recipe
from connector.models.onnx.weights import ModelWeights
from connector.models.places.weights import find_graph
from connector.models.versions import installed

BUILT_AS = 1  # goes up when graphs are built in another way, so that older ones are not taken
Way = Literal["built", "found", "exported"]


def find_way(folder: Path) -> tuple[Way, str]:
    """How the graph of the encoder in a folder is made; where torch has to export it, why."""
    if not (folder / "tokenizer.json").is_file():
        return "exported", "it has no tokenizer.json"
    if not has_safetensors(folder):
        return ("found", "") if find_graph(folder) else ("exported", "its weights are in folders of their own")
    try:
        why = why_not(read_config(folder))
        read_text_head(folder)
    except ModelError as error:
        why = str(error)
    if why and find_graph(folder) and not installed("torch"):
        return "found", ""
    return ("exported", why) if why else ("built", "")


def make_encoder(folder: Path, file: Path, form: Form) -> None:
    """Write the graph of the encoder in `folder`, from token ids to vectors, and the recipe beside it.

    Raises ModelError."""
    way, _ = find_way(folder)
    with workshop(file.parent) as scratch, quiet():
        model, dims = (_build if way == "built" else _take)(folder, form, scratch)
        made = scratch / file.name
        save_graph(model, made)
        write_recipe(made, read_recipe(folder, dims))
        move_recipe(made, file)  # first, so that there is no graph without
        move_graph(made, file)


def _build(folder: Path, form: Form, scratch: Path) -> tuple[Any, int]:
    """The graph from the weights, and the dimensions of a text's vector."""
    head = read_text_head(folder)
    try:
        bert = Bert(read_config(folder), ModelWeights(folder), fused=form != "plain")
        tokens = bert.graph.rename(bert.encode(), TOKEN_VECTORS)
        dims = add_text_head(bert.graph, tokens, head, TEXT_VECTOR, dims=bert.dims)
    except (KeyError, StopIteration) as error:
        raise ModelError(f"the weights in {folder} lack {error}; run the model with backend: torch") from error
    model = bert.graph.model(bert.inputs, _shapes(bert.dims, dims))
    return quantize(model, scratch) if form == "int8" else model, dims


def _take(folder: Path, form: Form, scratch: Path) -> tuple[Any, int]:
    """The graph that the folder holds, and the dimensions of a text's vector."""
    file = find_graph(folder)
    if file is None:
        raise ModelError(f"{folder} has neither safetensors nor a graph")
    config = read_json(folder / "config.json")
    graph = FoundGraph(file, config, fused=form != "plain", scratch=scratch)
    tokens, text = graph.find(TOKEN_OUTPUTS, 3), graph.find(TEXT_OUTPUTS, 2)
    if not tokens:
        raise ModelError(f"the graph in {file} gives {', '.join(graph.outputs)}, and no vectors of tokens")
    width = graph.outputs[tokens][-1] or int(config.get("hidden_size") or config.get("dim") or 0)
    if text:
        dims = graph.outputs[text][-1] or width
        graph.rename(text, TEXT_VECTOR)
        graph.rename(tokens, TOKEN_VECTORS)
    else:
        added = Assembly("text/")
        graph.rename(tokens, TOKEN_VECTORS)
        pad_on = read_recipe(folder, 0).pad_on
        dims = add_text_head(added, TOKEN_VECTORS, read_text_head(folder), TEXT_VECTOR, dims=width, pad_on=pad_on)
        graph.add(added)
    model = graph.keep(_shapes(width, dims))
    return quantize(model, scratch) if form == "int8" and not graph.is_quantized else model, dims


def _shapes(width: int, dims: int) -> dict[str, list[str | int]]:
    return {TOKEN_VECTORS: ["batch", "tokens", width or "width"], TEXT_VECTOR: ["batch", dims or "dims"]}
