"""A graph built from what a model's folder holds, without torch."""

from __future__ import annotations

from pathlib import Path

from connector.errors import ModelError
from connector.models.description import read_recipe, read_text_head
from connector.models.files import has_safetensors, read_config
from connector.models.onnx.assembly import move_graph, save_graph
from connector.models.onnx.bert import Bert, why_not
from connector.models.onnx.forms import Form, quantize, quiet, workshop
from connector.models.onnx.pooling import add_text_head
from connector.models.onnx.runtime import TEXT_VECTOR, TOKEN_VECTORS, move_recipe, write_recipe
from connector.models.onnx.weights import Weights

BUILT_AS = 1  # goes up when graphs are built in another way, so that older ones are not taken


def why_not_built(folder: Path) -> str:
    """Why the encoder in a folder needs torch; empty where it does not."""
    if not has_safetensors(folder):
        return "it has no weights in safetensors"
    if not (folder / "tokenizer.json").is_file():
        return "it has no tokenizer.json"
    try:
        read_text_head(folder)
    except ModelError as error:
        return str(error)
    return why_not(read_config(folder))


def build_encoder(folder: Path, file: Path, form: Form) -> None:
    """Write the graph of the encoder in `folder`, from token ids to vectors, and the recipe beside it.

    Raises ModelError."""
    head = read_text_head(folder)
    with workshop(file.parent) as made_in, quiet():
        try:
            bert = Bert(read_config(folder), Weights(folder), fused=form != "plain")
            tokens = bert.graph.rename(bert.encode(), TOKEN_VECTORS)
            dims = add_text_head(bert.graph, tokens, head, TEXT_VECTOR, dims=bert.dims)
        except (KeyError, StopIteration) as error:
            raise ModelError(f"the weights in {folder} lack {error}; run the model with backend: torch") from error
        shapes: dict[str, list[str | int]] = {
            TOKEN_VECTORS: ["batch", "tokens", bert.dims],
            TEXT_VECTOR: ["batch", dims],
        }
        model = bert.graph.model(bert.inputs, shapes)
        if form == "int8":
            model = quantize(model, made_in)
        made = made_in / file.name
        save_graph(model, made)
        write_recipe(made, read_recipe(folder, dims))
        move_recipe(made, file)  # first, so that there is no graph without
        move_graph(made, file)
