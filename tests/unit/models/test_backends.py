"""A model's backends: each scores as the model does, is made once, and is refused where it ranks otherwise."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from connector.errors import MissingExtra, ModelError, SettingsError
from connector.models.backends import agreement_file, graph_file, identify
from connector.models.cache import cache_folder
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.late_interaction import LateInteractionScorer
from connector.models.load import export_scorer, load_local_encoder, load_scorer
from connector.models.onnx.agreement import Agreement, compare, require_agreement
from connector.models.onnx.runtime import GraphRuntime
from connector.models.onnx.session import has_bf16
from connector.models.scorer import between_0_and_1
from connector.models.torch_runtime import TorchRuntime
from connector.settings.load import load_settings
from connector.settings.sections import WorkerSettings
from connector.wiring import load_encoder

QUERY = "how long may goods be returned"
PASSAGES = ["Goods may be returned within 30 days.", "Cold rooms are checked twice a year, " * 12, "Returns."]


pytestmark = pytest.mark.usefixtures("own_cache")


def test_torch_takes_the_place_of_a_graph_in_a_line_and_the_log_knows_why(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.DEBUG, "connector.models.load"):
        load_local_encoder(str(tiny_encoder_folder), "cpu", "auto", 1024)
    record, kept = caplog.records

    assert (record.levelname, record.exc_info) == ("INFO", None)
    assert record.message.startswith("encoding with torch: a graph cannot be written to ")
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
