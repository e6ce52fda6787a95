"""Which backend is the fastest: measured once, remembered, and worth what it gives up."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from connector.errors import ModelError
from connector.models.fastest import choose, find_fastest
from connector.models.load import load_scorer
from connector.models.onnx.agreement import Agreement
from connector.settings.sections import WorkerSettings

pytestmark = pytest.mark.usefixtures("own_cache")


def test_auto_measures_once_and_remembers(
    tiny_encoder_folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = WorkerSettings(model=str(tiny_encoder_folder), backend="auto", device="cpu")
    caplog.set_level("INFO", "connector.models.fastest")
    first = load_scorer(settings, settings)
    measured = [record.message for record in caplog.records]
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


def test_what_cannot_be_remembered_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    assert find_fastest("one", lambda backend: Agreement(1.0, 0.0, 2.0)) == "onnx"
    assert find_fastest("one", lambda backend: Agreement(1.0, 0.0, 0.5)) == "torch"
