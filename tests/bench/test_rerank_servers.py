"""What `make bench-worker` hands to other servers is whole, also where they are not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import onnxruntime
import pytest
from support.models.tiny_models import save_classifier
from tokenizers import Tokenizer

from connector.models.files import find_model

BENCH = Path(__file__).parents[2] / "bench"
READ_BY_FLASHRANK = {"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}


def test_flashrank_gets_a_graph_with_its_weights_and_a_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    from transformers import AutoTokenizer

    sys.path.insert(0, str(BENCH))  # syspath_prepend would take away again what onnxruntime adds to it meanwhile
    try:
        from rerank_servers import FLASHRANK_FILE, lay_out_for_flashrank
    finally:
        sys.path.remove(str(BENCH))
    tokenizer = AutoTokenizer.from_pretrained(find_model("all-MiniLM-L6-v2"))
    model = str(save_classifier(tmp_path / "model", tokenizer, num_labels=1))
    home = lay_out_for_flashrank(model, tmp_path)
    (tmp_path / "cache").rename(tmp_path / "elsewhere")  # what the graph needs lies beside it

    assert {file.name for file in home.iterdir()} >= READ_BY_FLASHRANK
    assert not list(home.glob("*.safetensors"))
    session = onnxruntime.InferenceSession(home / FLASHRANK_FILE, providers=["CPUExecutionProvider"])
    reading = Tokenizer.from_file(str(home / "tokenizer.json"))
    reading.no_padding()
    encoding = reading.encode("a deal", "red fish")
    columns = {
        "input_ids": encoding.ids,
        "attention_mask": encoding.attention_mask,
        "token_type_ids": encoding.type_ids,
    }
    (logits,) = session.run(None, {value.name: [columns[value.name]] for value in session.get_inputs()})

    assert logits.shape == (1, 1)
