"""How many labels a classifier has, told from folders that hold a configuration and the header of weights alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector.errors import ModelError
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.labels import count_labels

CLASSIFIER = {"architectures": ["BertForSequenceClassification"]}


def folder_of(folder: Path, config: dict[str, Any], **shapes: tuple[int, ...]) -> Path:
    tensors = {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    header = json.dumps(tensors).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("config", "head", "labels"),
    [
        (CLASSIFIER | {"id2label": {"0": "LABEL_0"}}, "classifier.weight", 1),
        (CLASSIFIER | {"id2label": {"0": "no", "1": "perhaps", "2": "yes"}}, "classifier.weight", 3),
        (CLASSIFIER, "classifier.weight", 2),  # transformers names no labels where there are two
        (CLASSIFIER, "classifier.out_proj.weight", 2),
        (CLASSIFIER, "model.score.weight", 2),
        (CLASSIFIER, "another.head", None),
        ({"architectures": ["BertModel"]}, "classifier.weight", None),
        ({}, "classifier.weight", None),
    ],
)
def test_labels_are_counted_by_their_names_or_by_the_head(
    tmp_path: Path, config: dict[str, Any], head: str, labels: int | None
) -> None:
    folder = folder_of(tmp_path, config, **{"classifier.dense.weight": (8, 8), head: (2, 8)})

    assert count_labels(folder) == labels


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_a_classifier_is_refused_before_its_weights_are_read(tmp_path: Path, backend: Any) -> None:
    """There are none in this folder, so that whoever reads them says something else."""
    folder = folder_of(tmp_path, CLASSIFIER, **{"classifier.weight": (2, 8)})

    with pytest.raises(ModelError, match="is a classifier of 2 labels; a reranker has one"):
        CrossEncoderScorer(str(folder), backend=backend)
