"""Models of random weights, small enough to be made for a test. As a program (tiny_models.py FOLDER): a cross-encoder,
for tests that leave torch to the programs that they start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from connector.models.files import find_model


def save_classifier(folder: Path, tokenizer: Any, *, num_labels: int) -> Path:
    """A folder with a classifier of random weights; with one label it is a cross-encoder."""
    import torch
    from transformers import BertForSequenceClassification

    torch.manual_seed(11)
    model = BertForSequenceClassification(tiny_config(tokenizer, num_labels=num_labels))
    torch.nn.init.normal_(model.classifier.weight, std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_config(tokenizer: Any, **more: Any) -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
        **more,
    )


SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 100,
    "max_position_embeddings": 130, "num_labels": 1, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3,
    "cls_token_id": 2, "sep_token_id": 3,
}  # fmt: skip


def make_family(family: str, head: str, **more: Any) -> Any:
    """A small model of a family, all of whose weights are random, also those that begin as zeros or ones."""
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, head).from_config(transformers.AutoConfig.for_model(family, **(SMALL | more)))
    with torch.no_grad():
        for weights in model.parameters():
            weights += torch.randn_like(weights) * 0.1
    return model.eval()


if __name__ == "__main__":
    from transformers import AutoTokenizer

    save_classifier(Path(sys.argv[1]), AutoTokenizer.from_pretrained(find_model("all-MiniLM-L6-v2")), num_labels=1)
