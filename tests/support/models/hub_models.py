"""Cross-encoders as the hub has them, each of a family's architecture and tokenizer, with few and random weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TEXTS = [
    "how long is a deal registered",
    "A registered deal lasts three months, unless it is extended.",
    "Tier-2 partners keep a registered deal for ninety days.",
    "The cat sat on the mat; red fish, blue bird. Yes or no, yes or no.",
]
SHAPE = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
MAX_TOKENS = 64
IDENTITY, SIGMOID = "torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Sigmoid"


def save_bert(folder: Path, *, activation: str | None = IDENTITY, labels: int = 1) -> Path:
    """As ms-marco-MiniLM: BERT with one label; its activation is named where sentence-transformers 3 put it."""
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = _tokenizer("[CLS] $A [SEP] $B:1 [SEP]:1", ["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=MAX_TOKENS, num_labels=labels, **SHAPE)
    _save(folder, BertForSequenceClassification, config, tokenizer)
    return _name_activation(folder, activation, sbert_ce_default_activation_function=activation)


def save_xlm_roberta(folder: Path, *, activation: str | None = None) -> Path:
    """As bge-reranker: XLM-RoBERTa with one label; without an activation in its configuration, so that it is a
    sigmoid."""
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    tokenizer = _tokenizer("<s> $A </s> </s> $B </s>", ["<s>", "<pad>", "</s>", "<unk>"])
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=MAX_TOKENS + 2,
        type_vocab_size=1,
        num_labels=1,
        pad_token_id=1,
        **SHAPE,
    )
    _save(folder, XLMRobertaForSequenceClassification, config, tokenizer)
    return _name_activation(folder, activation, sentence_transformers={"activation_fn": activation, "version": "4.1.0"})


def save_modernbert(folder: Path, *, activation: str | None = SIGMOID) -> Path:
    """As gte-reranker-modernbert-base: ModernBERT with a head of one label, weights in sixteen bits."""
    import torch
    from transformers import ModernBertForSequenceClassification

    tokenizer = _modernbert_tokenizer()
    _save(
        folder,
        ModernBertForSequenceClassification,
        _modernbert_config(tokenizer, num_labels=1),
        tokenizer,
        torch.float16,
    )
    return _name_activation(folder, activation, sentence_transformers={"activation_fn": activation, "version": "4.1.0"})


def save_ettin(folder: Path) -> Path:
    """As the Ettin rerankers: ModernBERT without a head of its own, then modules of sentence-transformers that make
    one."""
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling
    from transformers import ModernBertModel

    tokenizer = _modernbert_tokenizer()
    plain = folder.with_name(f"{folder.name}-plain")
    _save(plain, ModernBertModel, _modernbert_config(tokenizer), tokenizer)
    torch.manual_seed(3)
    size = SHAPE["hidden_size"]
    modules = [
        Transformer(str(plain)),
        Pooling(size, pooling_mode="cls"),
        Dense(size, size, bias=False, activation_function=torch.nn.GELU()),
        LayerNorm(size),
        Dense(size, 1, activation_function=torch.nn.Identity(), module_output_name="scores"),
    ]
    CrossEncoder(modules=modules, device="cpu", activation_fn=torch.nn.Identity()).save_pretrained(str(folder))
    return folder


def save_language_model(folder: Path, *, saved_as_reranker: bool = True) -> Path:
    """As mxbai-rerank-v2: Qwen2, which is asked for yes or no in the words of a template; or the language model
    alone."""
    import torch
    from sentence_transformers import CrossEncoder
    from tokenizers import processors
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = _modernbert_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(
        trim_offsets=False
    )  # no special tokens of its own
    tokenizer.chat_template = (
        "{% for one in messages %}{{ one['role'] }} is {{ one['content'] }} {% endfor %}is it relevant, yes or no"
    )
    config = Qwen2Config(vocab_size=len(tokenizer), num_key_value_heads=2, max_position_embeddings=MAX_TOKENS, **SHAPE)
    plain = folder.with_name(f"{folder.name}-plain") if saved_as_reranker else folder
    _save(plain, Qwen2ForCausalLM, config, tokenizer, torch.bfloat16)
    if saved_as_reranker:
        CrossEncoder(str(plain), device="cpu").save_pretrained(str(folder))
    return folder


FAMILIES: Mapping[str, Callable[[Path], Path]] = {
    "bert": save_bert,
    "xlm-roberta": save_xlm_roberta,
    "modernbert": save_modernbert,
    "ettin": save_ettin,
    "language-model": save_language_model,
}


def predict(folder: Path, query: str, passages: list[str]) -> list[float]:
    """The logits that sentence-transformers itself gives for the pairs, in 32 bits."""
    import torch
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    pairs = [(query, passage) for passage in passages]
    logits = model.predict(pairs, batch_size=1, show_progress_bar=False, activation_fn=torch.nn.Identity())
    return [float(logit) for logit in logits]


def _modernbert_tokenizer() -> Any:
    return _tokenizer("[CLS] $A [SEP] $B [SEP]", ["[PAD]", "[UNK]", "[CLS]", "[SEP]"])


def _modernbert_config(tokenizer: Any, **more: Any) -> Any:
    from transformers import ModernBertConfig

    ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    return ModernBertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=MAX_TOKENS, local_attention=8, **ids, **SHAPE, **more
    )


def _tokenizer(pair: str, special: list[str]) -> Any:
    """A fast tokenizer of a few hundred pieces; `pair` is how two texts are put together."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    unknown = next(token for token in special if "unk" in token.lower())
    core = Tokenizer(models.BPE(unk_token=unknown))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=200, special_tokens=special, show_progress=False))
    first, *_, last = [part.split(":")[0] for part in pair.split()]
    core.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", pair=pair, special_tokens=[(token, core.token_to_id(token)) for token in special]
    )
    names = {
        "pad_token": next(token for token in special if "pad" in token.lower()),
        "unk_token": unknown,
        "cls_token": first,
        "sep_token": last,
    }
    inputs = ["input_ids", "attention_mask"] + ["token_type_ids"] * (":1" in pair)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, model_max_length=MAX_TOKENS, model_input_names=inputs, **names
    )


def _save(folder: Path, architecture: Any, config: Any, tokenizer: Any, dtype: Any = None) -> None:
    import torch

    torch.manual_seed(11)
    config.initializer_range = 0.5
    model = architecture(config)
    for weights in model.parameters():
        if weights.ndim == 2:
            torch.nn.init.normal_(weights, std=0.5)
    (model.to(dtype) if dtype else model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _name_activation(folder: Path, activation: str | None, **names: Any) -> Path:
    """The folder, with what its configuration says of the activation; None: nothing."""
    if activation:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | names))
    return folder
