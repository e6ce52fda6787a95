"""Graphs that a model's folder holds, as converters write them, are run as the model is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from connector.errors import ModelError
from connector.models.backends import graph_file, identify, open_runtime
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.description import TextHead
from connector.models.encoder import LocalEncoder
from connector.models.files import read_config
from connector.models.hashes import file_sha256
from connector.models.load import load_local_encoder, load_scorer
from connector.models.onnx.assembly import FLOAT, Assembly
from connector.models.onnx.bert import Bert
from connector.models.onnx.build import find_way
from connector.models.onnx.forms import quantize
from connector.models.onnx.found import FoundGraph
from connector.models.onnx.heads import add_classifier
from connector.models.onnx.pooling import add_text_head
from connector.models.onnx.weights import ModelWeights
from connector.settings.sections import WorkerSettings

TEXTS = ["Tier-2 partners keep a deal.", "", "The cat sat. " * 40, "red fish"]


pytestmark = pytest.mark.usefixtures("own_cache")


def build(folder: Path, *, fused: bool, tokens: str, text: str = "") -> Any:
    """The graph of an encoder with outputs of these names."""
    bert = Bert(read_config(folder), ModelWeights(folder), fused=fused)
    shapes: dict[str, Any] = {bert.graph.rename(bert.encode(), tokens): ["batch", "tokens", bert.dims]}
    if text:
        add_text_head(bert.graph, tokens, TextHead("mean"), text, dims=bert.dims)
        shapes[text] = ["batch", bert.dims]
    return bert.graph.model(bert.inputs, shapes)


def convert(folder: Path, to: Path, name: str, graph: Any) -> Path:
    """A folder with the graph in place of the weights."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.safetensors"))
    (to / name).parent.mkdir(exist_ok=True)
    onnx.save_model(graph, to / name)
    return to


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("model.onnx", {"fused": False, "tokens": "last_hidden_state"}),
        ("onnx/model.onnx", {"fused": False, "tokens": "token_embeddings", "text": "sentence_embedding"}),
        ("model_optimized.onnx", {"fused": True, "tokens": "last_hidden_state"}),
    ],
)
def test_a_graph_in_the_folder_gives_what_the_model_gives(
    tiny_encoder_folder: Path, tmp_path: Path, name: str, how: dict[str, Any]
) -> None:
    folder = convert(tiny_encoder_folder, tmp_path / "converted", name, build(tiny_encoder_folder, **how))
    found, original = (open_runtime(path, "onnx") for path in (folder, tiny_encoder_folder))

    assert (find_way(folder, "encoder")[0], find_way(tiny_encoder_folder, "encoder")[0]) == ("found", "built")
    assert found.recipe == original.recipe
    given, expected = (runtime.text_vectors(TEXTS, are_queries=True) for runtime in (found, original))
    assert given == pytest.approx(expected, abs=1e-5)
    for own, others in zip(*(runtime.token_vectors(TEXTS, max_tokens=9) for runtime in (found, original)), strict=True):
        assert own == pytest.approx(others, abs=1e-5)
    assert LocalEncoder(str(folder), backend="onnx").fingerprint.sha256 == file_sha256(folder / name)


@pytest.fixture(scope="module")
def exported(tiny_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph of the tiny encoder as torch exports it, which is what optimum writes."""
    import transformers

    from connector.models.onnx.export import export_graph

    file = tmp_path_factory.mktemp("exported") / "model.onnx"
    model = transformers.AutoModel.from_pretrained(tiny_encoder_folder)
    export_graph(model, file, "plain", outputs=("last_hidden_state",))
    return file


def operators(folder: Path) -> list[str]:
    """Of the graph that was made for a folder."""
    made = onnx.load(graph_file(identify(folder, "encoder"), "onnx"), load_external_data=False)
    return [node.op_type for node in made.graph.node]


def refuse(*arguments: object, **options: object) -> None:
    raise ImportError("SymbolicShapeInferenceHelper is unavailable, missing 'sympy'")


def test_a_graph_that_has_kept_the_names_of_its_weights_is_built_anew(
    tiny_encoder_folder: Path, tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.models.onnx.found.fuse", refuse)
    folder = convert(tiny_encoder_folder, tmp_path / "converted", "model.onnx", onnx.load(exported))
    found, original = (open_runtime(path, "onnx") for path in (folder, tiny_encoder_folder))

    assert operators(folder) == operators(tiny_encoder_folder)
    assert operators(folder).count("Attention") == 2
    given, expected = (runtime.text_vectors(TEXTS, are_queries=True) for runtime in (found, original))
    assert np.array_equal(given, expected)


def without_names(graph: Any) -> Any:
    """The graph with other names of its weights, so that nothing is built anew of them."""
    numbers = {weight.name: f"w{number}" for number, weight in enumerate(graph.graph.initializer)}
    for weight in graph.graph.initializer:
        weight.name = numbers[weight.name]
    for node in graph.graph.node:
        node.input[:] = [numbers.get(name, name) for name in node.input]
    return graph


@pytest.mark.parametrize("can_be_fused", [True, False])
def test_a_graph_that_has_lost_their_names_is_fused_or_run_as_it_is(
    tiny_encoder_folder: Path, tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch, can_be_fused: bool
) -> None:
    if not can_be_fused:
        monkeypatch.setattr("connector.models.onnx.found.fuse", refuse)
    graph = without_names(onnx.load(exported))
    folder = convert(tiny_encoder_folder, tmp_path / "converted", "model.onnx", graph)
    found, original = (open_runtime(path, "onnx") for path in (folder, tiny_encoder_folder))

    assert operators(folder).count("Attention") == (2 if can_be_fused else 0)
    given, expected = (runtime.text_vectors(TEXTS, are_queries=True) for runtime in (found, original))
    assert given == pytest.approx(expected, abs=1e-5)


def test_a_graph_is_believed_and_not_its_description(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    config = read_config(tiny_encoder_folder) | {"hidden_act": "relu"}
    other = Bert(config, ModelWeights(tiny_encoder_folder), fused=False)
    shapes: dict[str, Any] = {other.graph.rename(other.encode(), "last_hidden_state"): ["batch", "tokens", 32]}
    folder = convert(tiny_encoder_folder, tmp_path / "converted", "model.onnx", other.graph.model(other.inputs, shapes))
    given = open_runtime(folder, "onnx").text_vectors(TEXTS, are_queries=True)
    (folder / "config.json").write_text(json.dumps(config))
    expected = open_runtime(folder, "onnx").text_vectors(TEXTS, are_queries=True)

    assert operators(folder).count("Attention") == 2  # where the two agree
    assert given == pytest.approx(expected, abs=1e-5)
    assert np.abs(given - open_runtime(tiny_encoder_folder, "onnx").text_vectors(TEXTS, are_queries=True)).max() > 1e-3


@pytest.mark.parametrize("has_names", [True, False])
def test_a_cross_encoders_graph_scores_as_the_model_does(
    tiny_cross_encoder_folder: Path, tmp_path: Path, has_names: bool
) -> None:
    bert = Bert(read_config(tiny_cross_encoder_folder), ModelWeights(tiny_cross_encoder_folder), fused=False)
    labels, _ = add_classifier(bert, "logits")
    graph = bert.graph.model(bert.inputs, {"logits": ["batch", labels]})
    graph = graph if has_names else without_names(graph)
    folder = convert(tiny_cross_encoder_folder, tmp_path / "converted", "onnx/model.onnx", graph)
    settings = WorkerSettings(model=str(folder))
    found, original = load_scorer(settings, settings), CrossEncoderScorer(str(tiny_cross_encoder_folder), device="cpu")

    given, expected = (scorer.score(TEXTS[0], TEXTS) for scorer in (found, original))
    assert given.values == pytest.approx(expected.values, abs=1e-4)
    assert given.truncated == expected.truncated == (2,)
    assert found.fingerprint.startswith(f"converted@{file_sha256(folder / 'onnx/model.onnx')[:12]}:cross-encoder:64")


def test_eight_bits_are_made_once(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    graph = build(tiny_encoder_folder, fused=True, tokens="last_hidden_state")
    folder = convert(tiny_encoder_folder, tmp_path / "converted", "model.onnx", graph)
    exact = open_runtime(folder, "onnx").text_vectors(TEXTS, are_queries=True)
    onnx.save_model(quantize(graph, tmp_path), folder / "model.onnx")
    given, again = (open_runtime(folder, kind).text_vectors(TEXTS, are_queries=True) for kind in ("onnx", "onnx-int8"))

    assert again == pytest.approx(given, abs=1e-5)
    assert 1e-4 < np.abs(given - exact).max() < 0.1


def small(output: str, *, width: int = 4, kind: int = FLOAT, dimensions: int = 3) -> Any:
    """A graph that gives numbers of some kind."""
    graph = Assembly()
    values = graph.add("Cast", graph.add("Unsqueeze", "attention_mask", graph.numbers(-1)), to=kind)
    if dimensions == 2:
        values = graph.add("Squeeze", values, graph.numbers(-1))
    graph.rename(values, output)
    model = graph.model(["input_ids", "attention_mask"], {output: ["batch", "tokens", 1][:dimensions]})
    model.graph.output[0].type.tensor_type.elem_type = kind
    return model


def test_half_precision_is_widened(tmp_path: Path) -> None:
    import onnxruntime

    onnx.save_model(small("last_hidden_state", kind=onnx.TensorProto.FLOAT16), tmp_path / "model.onnx")
    graph = FoundGraph(tmp_path / "model.onnx")
    graph.rename("last_hidden_state", "token_vectors")
    onnx.save_model(graph.keep({"token_vectors": ["batch", "tokens", 1]}), tmp_path / "made.onnx")
    ones = np.ones((1, 3), np.int64)
    session = onnxruntime.InferenceSession(tmp_path / "made.onnx", providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {"input_ids": ones, "attention_mask": ones})

    assert (given.dtype, given.shape, given.min()) == (np.float32, (1, 3, 1), 1)


def test_a_graph_that_cannot_be_used_is_told_of(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    folder = convert(tiny_encoder_folder, tmp_path / "converted", "model.onnx", small("logits", dimensions=2))
    with pytest.raises(ModelError, match="gives logits, and no vectors of tokens"):
        open_runtime(folder, "onnx")

    graph = Assembly()
    graph.add("Cast", "positions", to=FLOAT, output="last_hidden_state")
    onnx.save_model(graph.model(["positions"], {"last_hidden_state": ["batch", "tokens"]}), folder / "model.onnx")
    with pytest.raises(ModelError, match="takes positions, and not what encoders of texts take"):
        open_runtime(folder, "onnx")

    (folder / "model.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"cannot read the graph in .*model\.onnx"):
        load_local_encoder(str(folder), "cpu", "auto", 1024)  # and is not tried in torch
    with pytest.raises(ModelError, match="holds a graph and no safetensors"):
        load_local_encoder(str(folder), "cpu", "torch", 1024)
