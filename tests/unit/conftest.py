"""Models for the whole session: MiniLM is loaded once; everything else runs on tiny models with MiniLM's tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support.models.tiny_models import save_classifier, tiny_config
from support.runs.effort import IS_SOAK, tries

from connector.models.files import find_model
from connector.models.late_interaction import LateInteractionScorer

settings.register_profile(
    "unit",
    deadline=None,
    derandomize=not IS_SOAK,  # the same examples each time; a soak looks for others
    database=None,
    max_examples=tries(20),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("unit")

MINILM = "all-MiniLM-L6-v2"


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """MiniLM's tokenizer, without its weights."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(find_model(MINILM))


@pytest.fixture(scope="session")
def minilm() -> LateInteractionScorer:
    """The default reranker with its real weights."""
    return LateInteractionScorer(MINILM, device="cpu", cache_bytes=20_000_000)


@pytest.fixture(scope="session")
def tiny_encoder_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A sentence-transformers encoder of random weights: 32 dims, 64 tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertModel

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(7)
    BertModel(tiny_config(tokenizer)).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=64)
    pooling = Pooling(transformer.get_embedding_dimension())
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(folder / "tiny-encoder"))
    return folder / "tiny-encoder"


@pytest.fixture(scope="session")
def tiny_cross_encoder_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A cross-encoder of random weights with one label, 64 tokens."""
    return save_classifier(tmp_path_factory.mktemp("models") / "tiny-cross-encoder", tokenizer, num_labels=1)
