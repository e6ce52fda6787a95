"""What onnxruntime raises, in a graph that can be loaded and in one that cannot."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from connector.errors import ModelError
from connector.models.onnx.session import Session, count_cores


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A table of four rows, of which each token takes one: other ids do not exist."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [4, 2], np.arange(8, dtype=np.float32))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", "tokens", 2])
    node = helper.make_node("Gather", ["table", "input_ids"], ["vectors"])
    model = helper.make_model(
        helper.make_graph([node], "table", inputs, [output], [table]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    file = tmp_path / "graph.onnx"
    onnx.save(model, file)
    return file


def feed(*ids: int) -> dict[str, np.ndarray]:
    return {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}


def test_a_graph_gives_its_output(graph: Path) -> None:
    assert Session(graph).run("vectors", feed(3, 0)).tolist() == [[[6.0, 7.0], [0.0, 1.0]]]


def test_a_graph_that_fails_raises_one_kind_of_error_whose_cause_is_in_the_log(
    graph: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "connector")

    with pytest.raises(RuntimeError, match="indices element out of data bounds") as caught:
        Session(graph).run("vectors", feed(99))

    assert caught.value.__cause__
    assert "Traceback" in caplog.text


def test_a_file_that_is_no_graph_is_told_of_with_what_to_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "connector")
    file = tmp_path / "graph.onnx"
    file.write_bytes(b"no graph")

    with pytest.raises(ModelError, match="delete it, and it is made anew"):
        Session(file)
    assert "Traceback" in caplog.text


def test_the_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.sched_getaffinity(0)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    wanted = count_cores()
    monkeypatch.delenv("OMP_NUM_THREADS")
    os.sched_setaffinity(0, {min(allowed)})  # of this thread
    try:
        alone = count_cores()
    finally:
        os.sched_setaffinity(0, allowed)

    assert (wanted, alone) == (3, 1)
    assert 1 <= count_cores() <= len(allowed)
