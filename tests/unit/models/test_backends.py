"""A model's ONNX graph: it scores as the model does, is exported once, and is refused where it ranks otherwise."""

from __future__ import annotations

import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connector.errors import MissingExtra, ModelError, SettingsError
from connector.models.backends import agreement_file, graph_file, identify, load_graph
from connector.models.cache import cache_folder
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.fastest import choose, find_fastest
from connector.models.late_interaction import LateInteractionScorer
from connector.models.load import export_scorer, load_local_encoder, load_scorer
from connector.models.onnx.agreement import Agreement, compare, require_agreement
from connector.models.onnx.export import export_graph
from connector.models.onnx.first_token import last_layer_for_first_token
from connector.models.onnx.forms import Form, workshop
from connector.models.onnx.runtime import GraphRuntime
from connector.models.onnx.session import PIECE_TOKENS, GraphEngine, Session, _cut, has_bf16
from connector.models.scorer import between_0_and_1
from connector.models.torch_runtime import TorchRuntime
from connector.settings.load import load_settings
from connector.settings.sections import WorkerSettings
from connector.wiring import load_encoder

QUERY = "how long may goods be returned"
PASSAGES = ["Goods may be returned within 30 days.", "Cold rooms are checked twice a year, " * 12, "Returns."]
SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 100,
    "max_position_embeddings": 130, "num_labels": 1, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3,
    "cls_token_id": 2, "sep_token_id": 3,
}  # fmt: skip
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


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("form", ["fp32", "plain"])
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


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_pieces_of_a_batch_give_what_the_batch_gives(
    engine: GraphEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    export_graph(transformers.BertModel(transformers.BertConfig(**SMALL)).eval(), tmp_path / "graph.onnx", "plain")
    chance = np.random.default_rng(1)
    ids = chance.integers(5, 100, (101, 37))
    mask = (np.arange(37) < chance.integers(1, 38, (101, 1))).astype(np.int64)
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    session = Session(tmp_path / "graph.onnx", engine)
    assert ids.size > 3 * PIECE_TOKENS
    in_pieces = session.run("output", feed)
    one_by_one = [session.run("output", {name: one[row : row + 1] for name, one in feed.items()}) for row in range(101)]

    assert in_pieces.shape == (101, 37, 32)
    assert np.abs(in_pieces - np.concatenate(one_by_one))[mask.astype(bool)].max() < (0.05 if has_bf16() else 1e-4)


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


def test_torch_takes_the_place_of_a_graph_in_a_line_and_the_log_knows_why(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.DEBUG, "connector.models.load"):
        load_local_encoder(str(tiny_encoder_folder), "cpu", "auto", 1024)
    told, kept = caplog.records

    assert (told.levelname, told.exc_info) == ("INFO", None)
    assert told.message.startswith("encoding with torch: a graph cannot be written to ")
    assert (kept.levelname, "NotADirectoryError" in (kept.exc_text or "")) == ("DEBUG", True)


def test_both_kinds_of_scorer_score_the_same_by_their_graph(
    tiny_cross_encoder_folder: Path, tiny_encoder_folder: Path
) -> None:
    for kind, folder in ((CrossEncoderScorer, tiny_cross_encoder_folder), (LateInteractionScorer, tiny_encoder_folder)):
        original = kind(str(folder), device="cpu")
        exported = kind(str(folder), backend="onnx")

        assert exported.score(QUERY, PASSAGES).values == pytest.approx(original.score(QUERY, PASSAGES).values, abs=1e-4)
        assert exported.fingerprint == original.fingerprint
        assert exported.score(QUERY, PASSAGES).truncated == original.score(QUERY, PASSAGES).truncated == (1,)


def test_both_kinds_of_scorer_score_nearly_the_same_in_openvino(
    tiny_cross_encoder_folder: Path, tiny_encoder_folder: Path
) -> None:
    for kind, folder in ((CrossEncoderScorer, tiny_cross_encoder_folder), (LateInteractionScorer, tiny_encoder_folder)):
        original = kind(str(folder), device="cpu")
        exported = kind(str(folder), backend="openvino")
        # bfloat16 keeps three digits, of a logit of random weights as well as of a cosine: compared as they are shown
        mine, others = (between_0_and_1(scorer.score(QUERY, PASSAGES), scorer.kind) for scorer in (exported, original))

        assert mine.mapped == pytest.approx(others.mapped, abs=0.02)
        assert exported.fingerprint == original.fingerprint + (":bf16" if has_bf16() else "")


def test_openvino_that_is_not_installed_is_told_of(tiny_encoder_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)

    with pytest.raises(MissingExtra, match=r"pip install 'hybrid-search-connector\[openvino\]'"):
        LateInteractionScorer(str(tiny_encoder_folder), backend="openvino")


def test_the_same_weights_have_a_graph_for_each_kind(tiny_cross_encoder_folder: Path) -> None:
    for kind in (CrossEncoderScorer, LateInteractionScorer):
        original = kind(str(tiny_cross_encoder_folder), device="cpu")
        exported = kind(str(tiny_cross_encoder_folder), backend="onnx")

        assert exported.score(QUERY, PASSAGES).values == pytest.approx(original.score(QUERY, PASSAGES).values, abs=1e-4)


def test_a_graph_is_exported_once_and_checked(tiny_encoder_folder: Path) -> None:
    settings = WorkerSettings(model=str(tiny_encoder_folder), backend="onnx")
    identity = identify(tiny_encoder_folder, "late-interaction")
    load_scorer(settings, settings)
    file = graph_file(identity, "onnx")
    made = file.stat().st_mtime_ns
    load_scorer(settings, settings)

    assert file.stat().st_mtime_ns == made
    assert agreement_file(identity, "onnx").exists()
    assert cache_folder() in file.parents

    agreement_file(identity, "onnx").unlink()  # as after a kill between the export and the check
    load_scorer(settings, settings)

    assert agreement_file(identity, "onnx").exists()


def test_the_default_model_in_eight_bits_ranks_as_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.models.onnx.agreement.TIMED", 1)  # how fast it is does not matter here
    settings = WorkerSettings(backend="onnx-int8")
    found = export_scorer(settings, settings, "onnx-int8")

    assert found.overlap >= 0.9
    assert 0 < found.largest_difference < 0.1
    assert load_scorer(settings, settings).fingerprint.endswith(":int8")


def test_eight_bits_that_rank_otherwise_are_refused(
    tiny_cross_encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "connector.models.onnx.agreement.MIN_OVERLAP", 1.01
    )  # whatever this processor makes of eight bits
    settings = WorkerSettings(model=str(tiny_cross_encoder_folder), backend="onnx-int8")

    for _ in range(2):  # it is not taken the second time either
        with pytest.raises(
            ModelError, match=r"of the same first 10 passages as the original; run it with worker\.backend"
        ):
            load_scorer(settings, settings)


def test_a_scorer_agrees_with_itself(tiny_encoder_folder: Path) -> None:
    scorer = LateInteractionScorer(str(tiny_encoder_folder), device="cpu")
    found = compare(scorer, scorer)

    assert (found.overlap, found.largest_difference) == (1.0, 0.0)
    require_agreement(found, "it", "onnx-int8")
    with pytest.raises(ModelError, match="'it' by onnx-int8 names only 85% of the same first 10"):
        require_agreement(Agreement(0.85, 0.1, 2.0), "it", "onnx-int8")


def test_a_graph_runs_on_the_cpu_only() -> None:
    with pytest.raises(SettingsError, match=r"backend onnx runs on the CPU, not on cuda; leave device out"):
        load_settings(overrides={"worker.backend": "onnx", "worker.device": "cuda"}, environ={})


def test_auto_measures_once_and_remembers(
    tiny_encoder_folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = WorkerSettings(model=str(tiny_encoder_folder), backend="auto", device="cpu")
    caplog.set_level("INFO", "connector.models.fastest")
    first = load_scorer(settings, settings)
    measured = [one.message for one in caplog.records]
    caplog.clear()
    again = load_scorer(settings, settings)

    assert measured[0].startswith("measuring which backend is fastest here")
    assert measured[-1].startswith("fastest here: ")
    assert caplog.records == []
    assert again.fingerprint == first.fingerprint


def test_sixteen_bits_have_to_be_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, best in ((True, "onnx"), (False, "openvino")):
        monkeypatch.setattr("connector.models.backends.has_bf16", lambda has=has: has)
        assert choose({"torch": 1.0, "onnx": 1.5, "onnx-int8": 1.6, "openvino": 1.7}) == best
        assert choose({"torch": 1.0, "onnx": 1.5, "onnx-int8": 2.6, "openvino": 3.0}) == "openvino"
        assert choose({"torch": 1.0, "onnx": 1.5, "openvino": 3.0, "openvino-int8": 3.7}) == "openvino-int8"
    assert choose({"torch": 1.0, "onnx": 1.5, "openvino": 3.0, "openvino-int8": 3.5}) == "openvino"


def test_auto_takes_what_can_be_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(backend: str) -> Agreement:
        if backend in ("onnx", "openvino"):
            raise ModelError("no such operator")
        return Agreement(1.0, 0.0, 1.5)

    assert find_fastest("one", measure) == "onnx-int8"
    assert find_fastest("one", lambda backend: pytest.fail("measured again")) == "onnx-int8"
    assert find_fastest("another", lambda backend: Agreement(1.0, 0.0, 0.5)) == "torch"
    assert find_fastest("without torch", lambda backend: Agreement(1.0, 0.0, 0.5), original="onnx") == "onnx"


def test_of_those_that_start_at_once_one_measures_and_the_others_read_what_it_found() -> None:
    measured: list[str] = []
    under_way, go_on = threading.Event(), threading.Event()

    def measure(backend: str) -> Agreement:
        measured.append(backend)
        under_way.set()
        assert go_on.wait(120)
        return Agreement(1.0, 0.0, 2.0 if backend == "onnx" else 0.5)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(find_fastest, "side by side", measure)
        assert under_way.wait(120)
        second = pool.submit(find_fastest, "side by side", lambda backend: pytest.fail("measured again"))
        go_on.set()

        assert first.result() == second.result() == "onnx"
    assert len(measured) == len(set(measured))


@pytest.mark.parametrize(
    ("onnx", "eight_bits", "best"),
    [(0.9, 1.1, "torch"), (0.9, 1.2, "onnx-int8"), (1.5, 1.6, "onnx"), (1.5, 1.9, "onnx-int8"), (0.5, 0.5, "torch")],
)
def test_eight_bits_have_to_be_worth_it(onnx: float, eight_bits: float, best: str) -> None:
    assert choose({"torch": 1.0, "onnx": onnx, "onnx-int8": eight_bits}) == best


def test_an_encoder_that_cannot_be_exported_runs_in_torch(
    tiny_encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise ModelError("no such operator")

    settings = load_settings(overrides={"encoder.model": str(tiny_encoder_folder), "encoder.device": "cpu"}, environ={})
    monkeypatch.setattr("connector.models.backends.make_graph", refuse)
    in_torch = load_encoder(settings)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tiny_encoder_folder / "cache"))
    in_onnx = load_encoder(settings)

    assert isinstance(in_torch._runtime, TorchRuntime)
    assert isinstance(in_onnx._runtime, GraphRuntime)
    assert in_torch.encode(["red"]) == pytest.approx(in_onnx.encode(["red"]), abs=1e-5)


def test_what_cannot_be_remembered_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    assert find_fastest("one", lambda backend: Agreement(1.0, 0.0, 2.0)) == "onnx"
    assert find_fastest("one", lambda backend: Agreement(1.0, 0.0, 0.5)) == "torch"


@pytest.mark.parametrize("padded_on", ["left", "right"])
def test_pieces_are_as_narrow_as_their_rows(padded_on: str) -> None:
    lengths = [3, 3, 20, 37]
    places = np.arange(37)
    mask = np.array([places < one if padded_on == "right" else places >= 37 - one for one in lengths])
    feed = {"attention_mask": mask.astype(np.int64)}
    cut = {widths: [_cut(feed, mask, rows, widths).tokens for rows in ([0, 1], [2], [2, 3], [0])] for widths in (1, 16)}
    starts = [(one.start, one.stop) if padded_on == "right" else (37 - one.stop, 37 - one.start) for one in cut[16]]

    assert [one.stop - one.start for one in cut[1]] == [3, 20, 37, 3]
    assert starts == [(0, 16), (0, 32), (0, 37), (0, 16)]


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
