"""How many labels a classifier tells apart, as far as that can be told before its weights are loaded."""

from __future__ import annotations

from pathlib import Path

from connector.errors import ModelError
from connector.models.files import read_json
from connector.models.onnx.weights import ModelWeights

# the last layer of a classification head, as transformers names it in its families
HEADS = ("classifier.weight", "classifier.out_proj.weight", "score.weight")


def require_one_label(model: str, labels: int) -> None:
    """Raise ModelError for a classifier that tells kinds apart, which rates nothing."""
    if labels != 1:
        raise ModelError(
            f"{model!r} is a classifier of {labels} labels; a reranker has one. Choose a cross-encoder for ranking"
        )


def count_labels(folder: Path) -> int | None:
    """By the names of the labels in its configuration, or by the size of the head among its weights: a configuration
    without names may be of two labels, which transformers leaves out. None where neither says so."""
    config = read_json(folder / "config.json")
    if not any("SequenceClassification" in str(name) for name in config.get("architectures") or ()):
        return None
    if names := config.get("id2label"):
        return len(names)
    weights = ModelWeights(folder)
    heads = [name for name in weights if name.endswith(HEADS)]
    return weights.shape(heads[0])[0] if len(heads) == 1 else None
