"""A batch that is run in pieces gives what it gives as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.models.tiny_models import SMALL

from connector.models.onnx.export import export_graph
from connector.models.onnx.session import PIECE_TOKENS, GraphEngine, Session, _cut, has_bf16

pytestmark = pytest.mark.usefixtures("own_cache")


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
    one_by_one = [
        session.run("output", {name: inputs[row : row + 1] for name, inputs in feed.items()}) for row in range(101)
    ]

    assert in_pieces.shape == (101, 37, 32)
    assert np.abs(in_pieces - np.concatenate(one_by_one))[mask.astype(bool)].max() < (0.05 if has_bf16() else 1e-4)


@pytest.mark.parametrize("padded_on", ["left", "right"])
def test_pieces_are_as_narrow_as_their_rows(padded_on: str) -> None:
    lengths = [3, 3, 20, 37]
    places = np.arange(37)
    mask = np.array([places < length if padded_on == "right" else places >= 37 - length for length in lengths])
    feed = {"attention_mask": mask.astype(np.int64)}
    cut = {widths: [_cut(feed, mask, rows, widths).tokens for rows in ([0, 1], [2], [2, 3], [0])] for widths in (1, 16)}
    starts = [
        (piece.start, piece.stop) if padded_on == "right" else (37 - piece.stop, 37 - piece.start) for piece in cut[16]
    ]

    assert [piece.stop - piece.start for piece in cut[1]] == [3, 20, 37, 3]
    assert starts == [(0, 16), (0, 32), (0, 37), (0, 16)]
