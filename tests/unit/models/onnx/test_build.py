"""Graphs that are built without torch give what the models give in torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models.tiny_models import make_family

from connector.errors import ModelError
from connector.models.backends import open_runtime
from connector.models.bert_family import why_not
from connector.models.files import find_model
from connector.models.onnx.assembly import Assembly, save_graph
from connector.models.onnx.bert import Bert
from connector.models.onnx.build import find_way, make_graph
from connector.models.onnx.heads import add_classifier
from connector.models.onnx.runtime import GraphRuntime
from connector.models.onnx.session import Session
from connector.models.onnx.weights import ModelWeights
from connector.models.torch_runtime import TorchRuntime

FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "bert of one type, relu": {"type_vocab_size": 1, "hidden_act": "relu"},
    "bert, gelu by tanh": {"hidden_act": "gelu_new"},
    "distilbert": {},
    "roberta": {},
    "xlm-roberta": {"type_vocab_size": 1},
    "electra": {"embedding_size": 16},
}
TEXTS = ["refunds", "How long is a deal registered, after January 2024?", "", "a longer text " * 90]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_built_graph_gives_what_torch_gives(family: str, fused: bool, tmp_path: Path) -> None:
    import torch

    model = make_family(family.split(" ")[0].rstrip(","), "AutoModel", **FAMILIES[family])
    model.save_pretrained(tmp_path)
    ids = torch.randint(5, 100, (5, 37))
    mask = torch.ones_like(ids)
    for row, length in ((2, 20), (4, 3)):
        mask[row, length:], ids[row, length:] = 0, 1
    types = torch.zeros_like(ids)
    types[:, 10:] = 1
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    built = Bert(json.loads((tmp_path / "config.json").read_text()), ModelWeights(tmp_path), fused=fused)
    built.graph.rename(built.encode(), "hidden")
    save_graph(built.graph.model(built.inputs, {"hidden": ["batch", "tokens", built.dims]}), tmp_path / "graph.onnx")

    given = Session(tmp_path / "graph.onnx").run("hidden", {name: tensor.numpy() for name, tensor in feed.items()})
    with torch.inference_mode():
        expected = model(**{name: feed[name] for name in built.inputs}).last_hidden_state.numpy()

    kept = mask.bool().numpy()
    assert ("token_type_ids" in built.inputs) == (getattr(model.config, "type_vocab_size", 0) > 1)
    assert given[kept] == pytest.approx(expected[kept], abs=1e-5)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_built_cross_encoder_gives_what_torch_gives(family: str, fused: bool, tmp_path: Path) -> None:
    import torch

    model = make_family(family.split(" ")[0].rstrip(","), "AutoModelForSequenceClassification", **FAMILIES[family])
    model.save_pretrained(tmp_path)
    ids, mask = torch.randint(5, 100, (3, 21)), torch.tensor([[1] * 21, [1] * 9 + [0] * 12, [1] + [0] * 20])
    ids[mask == 0] = 1  # padding
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    feed["token_type_ids"][:, 5:] = 1
    built = Bert(json.loads((tmp_path / "config.json").read_text()), ModelWeights(tmp_path), fused=fused)
    labels, left_out = add_classifier(built, "logits")
    save_graph(built.graph.model(built.inputs, {"logits": ["batch", labels]}), tmp_path / "graph.onnx")

    given = Session(tmp_path / "graph.onnx").run("logits", {name: tensor.numpy() for name, tensor in feed.items()})
    with torch.inference_mode():
        expected = model(**{name: feed[name] for name in built.inputs}).logits.numpy()

    assert given == pytest.approx(expected, abs=1e-5)
    assert np.ptp(expected) > 1e-3  # inputs are told apart
    assert labels == 1
    assert set(left_out) <= {node.name for node in built.graph.nodes}


def test_the_default_model_gives_what_torch_gives(tmp_path: Path) -> None:
    folder = find_model("all-MiniLM-L6-v2")
    make_graph(folder, "encoder", tmp_path / "graph.onnx", "fp32")
    built, original = GraphRuntime(tmp_path / "graph.onnx"), TorchRuntime(folder, device="cpu")

    assert built.recipe == original.recipe
    given, expected = (runtime.text_vectors(TEXTS, are_queries=False) for runtime in (built, original))
    assert given == pytest.approx(expected, abs=1e-5)
    for own, others in zip(
        built.token_vectors(TEXTS, max_tokens=64), original.token_vectors(TEXTS, max_tokens=64), strict=True
    ):
        assert (own * others).sum(axis=-1).min() > 0.9999


def test_weights_of_every_width_are_read(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    values = torch.tensor([[1.5, -2.25, 1e-3], [0.0, 3e4, -1.0]])
    kinds = {"wide": torch.float64, "plain": torch.float32, "half": torch.float16, "brain": torch.bfloat16}
    save_file({name: values.to(kind) for name, kind in kinds.items()}, tmp_path / "a.safetensors")
    save_file({"more": values}, tmp_path / "b.safetensors")

    weights = ModelWeights(tmp_path)

    assert set(weights) == {*kinds, "more"}
    for name in kinds:
        assert np.array_equal(weights[name], values.to(kinds[name]).float().numpy())
        assert weights[name].dtype == np.float32


def test_weights_that_are_cut_short_are_told_of(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    whole = (tiny_encoder_folder / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-100])
    last = list(ModelWeights(tmp_path))[-1]

    with pytest.raises(ModelError, match="are cut short; fetch the model again"):
        [ModelWeights(tmp_path)[name] for name in (last, *ModelWeights(tmp_path))]
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ModelError, match="cannot read the weights in"):
        ModelWeights(tmp_path)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, ""),
        ({"model_type": "mpnet"}, "models of type 'mpnet' are not built"),
        ({"auto_map": {"AutoModel": "its.Own"}}, "the model has code of its own"),
        ({"position_embedding_type": "relative_key"}, "its positions are relative_key"),
        ({"is_decoder": True}, "it is a decoder"),
        ({"hidden_act": "silu"}, "its activation is 'silu'"),
    ],
)
def test_what_is_not_built_says_why(config: dict[str, Any], reason: str) -> None:
    assert why_not({"model_type": "bert", **config}) == reason


def test_what_a_folder_lacks_says_why(tmp_path: Path) -> None:
    assert find_way(tmp_path, "encoder") == ("exported", "it has no tokenizer.json")
    (tmp_path / "tokenizer.json").touch()
    assert find_way(tmp_path, "encoder") == ("exported", "its weights are in folders of their own")
    (tmp_path / "model.safetensors").touch()
    assert find_way(tmp_path, "encoder")[1].endswith("has no config.json; is it the folder of a Hugging Face model?")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert find_way(tmp_path, "encoder") == ("built", "")
    (tmp_path / "modules.json").write_text('[{"path": "", "type": "x.Transformer"}, {"path": "", "type": "x.LSTM"}]')
    assert find_way(tmp_path, "encoder") == ("exported", "a model with a module LSTM is not run without torch")


def test_weights_that_lack_a_layer_are_told_of(tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(tiny_encoder_folder / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    for file in tiny_encoder_folder.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "modules.json").unlink()
    save_file(weights, tmp_path / "model.safetensors")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    with pytest.raises(ModelError, match=r"lack 'encoder\.layer\.1\.output\.dense\.weight'"):
        open_runtime(tmp_path, "onnx")


def test_the_weights_of_a_graph_lie_beside_it(tmp_path: Path) -> None:
    graph = Assembly()
    total = graph.add("Cast", "input_ids", to=1)
    graph.add("Add", total, graph.weight("many", np.ones((1, 1000), np.float32)), output="sum")
    for _ in range(2):  # a second time in the same place
        save_graph(graph.model(["input_ids"], {"sum": ["batch", 1000]}), tmp_path / "graph.onnx")

    assert (tmp_path / "graph.onnx").stat().st_size < 1000 < (tmp_path / "graph.weights").stat().st_size < 9000
    assert (tmp_path / "graph.onnx").stat().st_mode == (tmp_path / "graph.weights").stat().st_mode
    ones = np.ones((2, 1000), np.int64)
    assert Session(tmp_path / "graph.onnx").run("sum", {"input_ids": ones, "attention_mask": ones}).max() == 2
