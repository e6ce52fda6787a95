"""A graph that torch exports gives what its model gives, in each family and form."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models.tiny_models import SMALL

from connector.errors import ModelError
from connector.models.backends import load_graph
from connector.models.onnx.export import export_graph
from connector.models.onnx.first_token import last_layer_for_first_token
from connector.models.onnx.forms import Form, workshop
from connector.models.onnx.session import GraphEngine, Session

FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "distilbert": {},
    "roberta": {},
    "xlm-roberta": {},
    "electra": {"embedding_size": 32},
    "mpnet": {},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 8},
    "deberta-v2": {"relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"]},
}


pytestmark = pytest.mark.usefixtures("own_cache")


def outputs(family: str, head: str, form: Form, folder: Path) -> tuple[Any, Any]:
    """What a model of random weights and its graph say of a batch with padding, of another size than was traced."""
    import torch
    import transformers

    config = transformers.AutoConfig.for_model(family, **(SMALL | FAMILIES[family]))
    torch.manual_seed(0)
    model = getattr(transformers, head).from_config(config).eval()
    export_graph(model, folder / "graph.onnx", form)
    graph = load_graph(folder / "graph.onnx", model)
    ids = torch.randint(5, 100, (5, 37))
    mask = torch.ones_like(ids)
    for row, length in ((2, 20), (4, 3)):
        mask[row, length:], ids[row, length:] = 0, 1
    name = "logits" if "Classification" in head else "last_hidden_state"
    with torch.inference_mode():
        expected = model(input_ids=ids, attention_mask=mask, return_dict=True)[name]
        given = graph(input_ids=ids, attention_mask=mask)[name]
    kept = slice(None) if name == "logits" else mask.bool()
    return given[kept].numpy(), expected[kept].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_graph_gives_what_the_encoder_gives(family: str, tmp_path: Path) -> None:
    given, expected = outputs(family, "AutoModel", "fp32", tmp_path)

    assert given == pytest.approx(expected, abs=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["graph.onnx", "graph.weights"]


# "plain" is what "fp32" is made of
@pytest.mark.parametrize(
    ("family", "form"), [*((family, "fp32") for family in FAMILIES), ("bert", "plain"), ("deberta-v2", "plain")]
)
def test_a_graph_gives_what_the_cross_encoder_gives(family: str, form: Form, tmp_path: Path) -> None:
    given, expected = outputs(family, "AutoModelForSequenceClassification", form, tmp_path)

    assert given.shape == (5, 1)
    assert given == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cross_encoders_last_layer_computes_what_is_read(family: str) -> None:
    import torch
    import transformers

    config = transformers.AutoConfig.for_model(family, **(SMALL | FAMILIES[family]))
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    model.set_attn_implementation("eager")  # as it is exported
    ids, mask = torch.randint(5, 100, (2, 9)), torch.tensor([[1] * 9, [1] * 4 + [0] * 5])
    with torch.inference_mode():
        whole = model(input_ids=ids, attention_mask=mask).logits
        with last_layer_for_first_token(model):
            less = model(input_ids=ids, attention_mask=mask).logits
            tokens = model.base_model(input_ids=ids, attention_mask=mask)[0].shape[1]
        after = model.base_model(input_ids=ids, attention_mask=mask)[0].shape[1]

    assert less.numpy() == pytest.approx(whole.numpy(), abs=1e-6)
    assert (tokens, after) == (1 if family in {"bert", "roberta", "xlm-roberta", "electra"} else 9, 9)


def test_openvino_in_eight_bits_comes_closer_than_onnxruntime(tmp_path: Path) -> None:
    import transformers

    sizes = SMALL | {"hidden_size": 128, "num_attention_heads": 4, "intermediate_size": 256}
    model = transformers.BertModel(transformers.BertConfig(**sizes)).eval()
    ids = np.random.default_rng(2).integers(5, 100, (4, 33))
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    vectors = {}
    forms: list[tuple[Form, GraphEngine]] = [
        ("plain", "onnxruntime"), ("plain", "openvino"), ("int8", "onnxruntime"), ("plain", "openvino-int8")
    ]  # fmt: skip
    for form, engine in forms:
        export_graph(model, tmp_path / f"{form}.onnx", form)
        vectors[form, engine] = Session(tmp_path / f"{form}.onnx", engine).run("output", feed)
    exact, sixteen, *eight = (np.abs(given - vectors["plain", "onnxruntime"]).mean() for given in vectors.values())

    assert exact == 0
    assert sixteen < eight[1] < eight[0] < 0.05


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_eight_bits_come_close(family: str, tmp_path: Path) -> None:
    given, expected = outputs(family, "AutoModel", "int8", tmp_path)
    cosines = (given * expected).sum(-1) / np.linalg.norm(given, axis=-1) / np.linalg.norm(expected, axis=-1)

    assert cosines.min() > 0.999
    assert np.abs(given - expected).max() > 1e-4  # it is not the exact graph


def test_a_model_that_cannot_be_exported_is_told_of(tmp_path: Path) -> None:
    import transformers

    class Unheard(transformers.BertModel):
        def forward(self, input_ids: Any, **more: Any) -> Any:
            raise NotImplementedError("no such operator")

    model = Unheard(transformers.BertConfig(**SMALL))
    with pytest.raises(ModelError, match=r"'bert' cannot be exported to ONNX \(no such operator\); .*backend: torch"):
        export_graph(model, tmp_path / "graph.onnx", "fp32")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ModelError, match="let XDG_CACHE_HOME name a folder that can be written to"):
        export_graph(None, tmp_path / "file" / "graph.onnx", "fp32")


def test_what_a_killed_export_left_is_removed_a_day_later(tmp_path: Path) -> None:
    old, new = tmp_path / ".export-old", tmp_path / ".export-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "exported.onnx").write_bytes(b"half of it")
    os.utime(old, (0, 0))
    (tmp_path / ".export-gone").symlink_to(tmp_path / "nothing")  # as one that ends while it is looked at

    with workshop(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert not old.exists()
        assert new.exists()
