"""An encoder's graph gives what the model gives, knows all that its texts need, and loads without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connector.errors import ModelError
from connector.models.backends import Backend, open_runtime
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.devices import runs_on_cpu
from connector.models.encoder import LocalEncoder
from connector.models.late_interaction import LateInteractionScorer
from connector.models.load import load_scorer
from connector.models.onnx.runtime import GraphRuntime
from connector.models.torch_runtime import TorchRuntime
from connector.settings.sections import WorkerSettings

BACKENDS: tuple[Backend, ...] = ("onnx", "torch")
TEXTS = ["Tier-2 partners keep a deal.", "", "The cat sat. " * 40, "  red   fish\n", "red fish"]


pytestmark = pytest.mark.usefixtures("own_cache")


def plain(model: Any) -> None:
    pass


def prompted(model: Any) -> None:
    model.prompts = {"query": "query: ", "document": "passage: "}


def prompted_by_default(model: Any) -> None:
    model.prompts, model.default_prompt_name = {"query": "", "document": "", "other": "as other: "}, "other"


def pooled_at_the_first(model: Any) -> None:
    from sentence_transformers.sentence_transformer.modules import Pooling

    model[1] = Pooling(32, pooling_mode="cls")


def pooled_at_the_last(model: Any) -> None:
    from sentence_transformers.sentence_transformer.modules import Pooling

    model[1] = Pooling(32, pooling_mode="lasttoken")


def pooled_by_roots(model: Any) -> None:
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Pooling

    model[1] = Pooling(32, pooling_mode="mean_sqrt_len_tokens")
    model.append(Dense(32, 8))  # after which the length of a vector counts


def projected(model: Any) -> None:
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Normalize

    model.append(Dense(32, 12))
    model.append(Normalize())


Change = Callable[[Any], None]
CHANGES: list[Change] = [
    plain,
    prompted,
    prompted_by_default,
    pooled_at_the_first,
    pooled_at_the_last,
    pooled_by_roots,
    projected,
]


@pytest.fixture
def changed(tiny_encoder_folder: Path, tmp_path: Path) -> Callable[[Change], Path]:
    """The folder of the tiny encoder after a change."""
    from sentence_transformers import SentenceTransformer

    def change(how: Change) -> Path:
        model = SentenceTransformer(str(tiny_encoder_folder), device="cpu")
        how(model)
        model.save(str(tmp_path / "changed"))
        return tmp_path / "changed"

    return change


@pytest.mark.parametrize(
    "how", [plain, prompted, prompted_by_default, pooled_at_the_first, pooled_at_the_last, pooled_by_roots, projected]
)
def test_a_graph_gives_what_the_model_gives(changed: Callable[[Change], Path], how: Change) -> None:
    folder = changed(how)
    model, graph = TorchRuntime(folder, device="cpu"), open_runtime(folder, "onnx")

    assert isinstance(graph, GraphRuntime)
    for limit in (64, 9):
        pairs = zip(
            graph.token_vectors(TEXTS, max_tokens=limit), model.token_vectors(TEXTS, max_tokens=limit), strict=True
        )
        assert all(given == pytest.approx(expected, abs=1e-5) for given, expected in pairs)
    for are_queries in (True, False):
        for one_core in (True, False):
            given = graph.text_vectors(TEXTS, are_queries=are_queries, one_core=one_core)
            assert given == pytest.approx(model.text_vectors(TEXTS, are_queries=are_queries), abs=1e-5)
    differ = np.abs(given - graph.text_vectors(TEXTS, are_queries=True)).max() > 1e-3
    assert differ is np.bool_(how is prompted)


def test_a_familys_prompts_go_before_the_texts(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "e5-small-v2"
    shutil.copytree(tiny_encoder_folder, folder)
    plain = open_runtime(tiny_encoder_folder, "onnx")

    for backend in BACKENDS:
        runtime = open_runtime(folder, backend, device="cpu")
        for are_queries, prompt in ((True, "query: "), (False, "passage: ")):
            expected = plain.text_vectors([prompt + text for text in TEXTS], are_queries=False)
            assert runtime.text_vectors(TEXTS, are_queries=are_queries) == pytest.approx(expected, abs=1e-5)


def test_text_vectors_that_a_graph_cannot_give_are_refused_and_its_token_vectors_are_not(
    changed: Callable[[Change], Path],
) -> None:
    """A prompt that the pooling leaves out, as of instructor models: the graph is not told where it ends."""

    def left_out(model: Any) -> None:
        prompted(model)
        model.set_pooling_include_prompt(False)

    folder = changed(left_out)

    with pytest.raises(ModelError, match=r"gives other vectors than the model .*; use encoder.backend: torch"):
        LocalEncoder(str(folder), backend="onnx")
    given, expected = (
        LateInteractionScorer(str(folder), backend=backend).score(TEXTS[0], TEXTS) for backend in ("onnx", "torch")
    )
    assert given.values == pytest.approx(expected.values, abs=1e-4)


def test_a_graph_whose_token_vectors_differ_is_not_kept(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.models.torch_runtime.MIN_COSINE", 1.1)

    with pytest.raises(ModelError, match="gives other vectors than the model; run it with backend: torch"):
        TorchRuntime(tiny_encoder_folder, device="cpu").export(tmp_path / "graph.onnx", "fp32")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [None, "no json", "{}"])
def test_a_graph_that_lost_its_recipe_is_told_of(tiny_encoder_folder: Path, tmp_path: Path, damage: str | None) -> None:
    open_runtime(tiny_encoder_folder, "onnx")
    (recipe,) = (tmp_path / "cache").rglob("*.recipe.json")
    recipe.unlink() if damage is None else recipe.write_text(damage)

    with pytest.raises(ModelError, match=r"cannot load what belongs to .*\.onnx .*; delete it, and it is made anew"):
        open_runtime(tiny_encoder_folder, "onnx")


@pytest.mark.parametrize("odd", [{"pad_token": None}, {"pad_id": 10**6}])
def test_a_graph_that_cannot_be_run_is_not_kept(tiny_encoder_folder: Path, tmp_path: Path, odd: dict[str, Any]) -> None:
    runtime = TorchRuntime(tiny_encoder_folder, device="cpu")
    runtime.recipe = replace(runtime.recipe, **odd)

    with pytest.raises(ModelError, match=r"cannot (be run|load)"):
        runtime.export(tmp_path / "graph.onnx", "fp32")
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_that_changes_is_another_model(changed: Callable[[Change], Path]) -> None:
    folder = changed(plain)
    before = open_runtime(folder, "onnx").text_vectors(TEXTS, are_queries=True)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace('"mean"', '"cls"'))

    after = open_runtime(folder, "onnx").text_vectors(TEXTS, are_queries=True)

    assert after == pytest.approx(TorchRuntime(folder, device="cpu").text_vectors(TEXTS, are_queries=True), abs=1e-5)
    assert np.abs(after - before).max() > 1e-3


def test_models_load_without_torch(tiny_encoder_folder: Path, tiny_cross_encoder_folder: Path, tmp_path: Path) -> None:
    """Their graphs are built, and need neither what torch brings nor what is beside it. The encoder and late
    interaction share one."""
    expected = CrossEncoderScorer(str(tiny_cross_encoder_folder), device="cpu").score("a deal", ["a deal", "red fish"])
    program = f"""
import sys
heavy = ("torch", "transformers", "sentence_transformers", "safetensors")
sys.modules |= dict.fromkeys(heavy)
from connector.models import versions
installed = versions.installed
versions.installed = lambda package: "" if package.replace("-", "_") in heavy else installed(package)
from connector.settings.load import load_settings
from connector.settings.sections import WorkerSettings
from connector.wiring import load_encoder
from connector.models.load import load_scorer
worker = WorkerSettings(model={str(tiny_encoder_folder)!r})
settings = load_settings(overrides={{"encoder.model": worker.model}}, environ={{}})
pairs = WorkerSettings(model={str(tiny_cross_encoder_folder)!r})
for _ in range(2):  # before there are graphs, and after
    print(load_scorer(worker, worker).score("a deal", ["a deal", "red fish"]).values.argmax())
    print(load_encoder(settings).encode_query("a deal").shape)
    print(*load_scorer(pairs, pairs).score("a deal", ["a deal", "red fish"]).values)
    for backend in ("onnx-int8", "openvino"):  # compared with the graph in 32 bits
        print(load_scorer(worker.model_copy(update={{"backend": backend}}), worker).fingerprint)
    print([name for name in heavy if sys.modules[name] is not None])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert len(printed) == 12
    for lines in (printed[:6], printed[6:]):
        assert lines[:2] == ["0", "(32,)"]
        assert [float(value) for value in lines[2].split()] == pytest.approx(expected.values, abs=1e-4)
        assert lines[3].endswith(":int8")
        assert lines[5] == "[]"


def test_the_default_is_exact(tiny_encoder_folder: Path, tiny_cross_encoder_folder: Path) -> None:
    for folder, runs_in in ((tiny_encoder_folder, GraphRuntime), (tiny_cross_encoder_folder, None)):
        settings = WorkerSettings(model=str(folder), device="cpu")
        found = load_scorer(settings, settings)
        torch = load_scorer(settings.model_copy(update={"backend": "torch"}), settings)

        assert settings.backend == "exact"
        assert found.fingerprint == torch.fingerprint
        assert found.score(TEXTS[0], TEXTS).values == pytest.approx(torch.score(TEXTS[0], TEXTS).values, abs=1e-4)
        assert isinstance(found, CrossEncoderScorer) if runs_in is None else isinstance(found._runtime, runs_in)


def test_what_cannot_be_exported_runs_in_torch(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder can be made here")
    settings = WorkerSettings(model=str(tiny_encoder_folder), device="cpu")

    assert isinstance(load_scorer(settings, settings)._runtime, TorchRuntime)


def test_a_device_is_looked_for_without_torch_where_that_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get_device_name() -> str:
        asked.append("torch")
        return "cuda"

    monkeypatch.setattr("sentence_transformers.util.get_device_name", get_device_name)
    monkeypatch.setattr("connector.models.devices.installed", lambda name: "2.9.0")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("connector.models.devices.ACCELERATORS", ["no-such-device*"])

    assert [runs_on_cpu(device) for device in ("cpu", "cuda", None)] == [True, False, True]
    assert asked == []
    monkeypatch.setattr("connector.models.devices.ACCELERATORS", [os.path.basename(os.devnull)])
    assert not runs_on_cpu(None)
    monkeypatch.setattr("connector.models.devices.installed", lambda name: "2.9.0+cpu")
    assert runs_on_cpu(None)
    monkeypatch.setattr("connector.models.devices.installed", lambda name: "")
    assert runs_on_cpu(None)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("connector.models.devices.installed", lambda name: "2.9.0")
    assert not runs_on_cpu(None)
    assert asked == ["torch", "torch"]
