"""A graph made of what a model's folder holds, without torch: built from the weights, or out of a graph that is
there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from connector.errors import ModelError
from connector.models.bert_family import why_not
from connector.models.description import read_recipe, read_text_head, require_plain_pairs
from connector.models.files import has_safetensors, read_config
from connector.models.model import ModelKind
from connector.models.onnx.assemble import assemble_graph
from connector.models.onnx.assembly import move_graph, save_graph
from connector.models.onnx.forms import Form, quantize, quiet, workshop
from connector.models.onnx.runtime import move_recipe, write_recipe
from connector.models.onnx.take import take_graph
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
    fused = form != "plain"
    with workshop(file.parent) as scratch, quiet():
        if way == "found":
            made = take_graph(folder, kind, scratch, fused=fused)
        else:
            made = assemble_graph(folder, kind, ModelWeights(folder), fused=fused)
        model = quantize(made.model, scratch, leave_out=made.head) if form == "int8" else made.model
        finished = scratch / file.name
        save_graph(model, finished)
        write_recipe(finished, read_recipe(folder, made.dims))
        move_recipe(finished, file)  # first, so that there is no graph without
        move_graph(finished, file)
