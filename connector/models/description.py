"""What a model's folder says of how texts become its inputs, and its outputs a vector.

The files are those that sentence-transformers and transformers write; what they leave out comes from families.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connector.errors import ModelError
from connector.models.families import Family, find_family
from connector.models.files import read_json
from connector.models.runtime import DEFAULT_MAX_TOKENS, Recipe
from connector.models.tokenizer import read_tokenizer

CLASSIFIES = "sequence-classification"
UNLIMITED = 1_000_000  # transformers writes 1e30 where a tokenizer knows no limit
PAD_TOKENS = ("[PAD]", "<pad>", "<|padding|>", "<|endoftext|>")
PADDED_IDS = frozenset({"roberta", "xlm-roberta", "camembert"})  # whose first positions are the padding's
POOLING_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}  # as versions before 6 wrote them
POOLINGS = frozenset({"mean", "cls", "lasttoken", "mean_sqrt_len_tokens"})  # those that are built
ACTIVATIONS = {"Identity": "", "Tanh": "Tanh", "ReLU": "Relu", "Sigmoid": "Sigmoid"}  # of torch, and what ONNX has


@dataclass(frozen=True, slots=True)
class Projection:
    """A layer after the pooling, in a folder of its own."""

    folder: Path
    dims: int
    activation: str  # an operator, or none


@dataclass(frozen=True, slots=True)
class TextHead:
    """How the vectors of a text's tokens become the text's."""

    pooling: str
    projections: tuple[Projection, ...] = ()


def read_recipe(folder: Path, dims: int) -> Recipe:
    """How texts become inputs of the model in a folder; `dims` are those of a text's vector. Raises ModelError."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError(f"{folder} has no tokenizer.json, which a model without torch is run with")
    config, settings, own = (
        read_json(folder / name) for name in ("config.json", "tokenizer_config.json", "sentence_bert_config.json")
    )
    family = find_family(folder)
    stored = json.loads(file.read_text(encoding="utf-8"))
    limit = _max_tokens(config, settings, own, family, stored.get("truncation") or {})
    padding = stored.get("padding") or {}
    try:
        tokenizer = read_tokenizer(json.dumps(_as_used(stored, settings, own)))
    except ValueError as error:
        raise ModelError(f"cannot read {file}: {error}") from error
    pad_token = _pad_token(folder, settings, padding, tokenizer)
    queries, passages = read_prompts(folder)
    return Recipe(
        tokenizer=tokenizer.to_str(),
        pad_token=pad_token,
        pad_id=tokenizer.token_to_id(pad_token) or 0,
        pad_type_id=int(settings.get("pad_token_type_id") or 0),
        pad_on=settings.get("padding_side") or "right",
        max_tokens=limit,
        dims=dims,
        query_prompt=queries,
        passage_prompt=passages,
    )


def read_prompts(folder: Path) -> tuple[str, str]:
    """What goes before a query and before a passage: as the folder says, else as the model's family does."""
    config = read_json(folder / "config_sentence_transformers.json")
    prompts = config.get("prompts") or {}
    if not any(prompts.values()):
        family = find_family(folder)
        return (family.query_prompt, family.passage_prompt) if family else ("", "")
    default = prompts.get(config.get("default_prompt_name"), "")
    queries, passages = (
        next((prompts[name] for name in names if name in prompts), default)
        for names in (("query",), ("document", "passage", "corpus"))
    )
    return queries or "", passages or ""


def read_text_head(folder: Path) -> TextHead:
    """How the folder makes one vector of many. Raises ModelError where that is not known without torch."""
    modules = read_modules(folder)
    if not modules:
        family = find_family(folder)
        return TextHead(family.pooling if family else "mean")
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    if kinds[0] != "Transformer" or modules[0]["path"]:
        raise ModelError(f"a model that begins with {modules[0]['path'] or kinds[0]} is not run without torch")
    pooling, projections = "", []
    for kind, module in zip(kinds[1:], modules[1:], strict=True):
        config = read_json(folder / str(module["path"]) / "config.json")
        if kind == "Pooling" and not pooling:
            pooling = _pooling(folder, config)
        elif kind == "Dense" and pooling:
            projections.append(_projection(folder / str(module["path"]), config))
        elif kind not in ("Normalize", "Dropout"):
            raise ModelError(f"a model with a module {kind} is not run without torch")
    if not pooling:
        raise ModelError("a model whose modules have no Pooling makes no vectors of texts")
    return TextHead(pooling, tuple(projections))


def read_pooling(folder: Path) -> str:
    """How the token vectors of a text become one, whatever runs the model: modes of sentence-transformers, several with
    a plus between them; empty where a module of its own does it."""
    modules = read_modules(folder)
    if not modules:
        family = find_family(folder)
        return family.pooling if family else "mean"
    for module in modules:
        if str(module["type"]).endswith("Pooling"):
            config = read_json(folder / str(module["path"]) / "config.json")
            prompt = "" if config.get("include_prompt", True) else " without the prompt"
            return "+".join(_pooling_modes(config)) + prompt
    return ""


def require_plain_pairs(folder: Path) -> None:
    """Raise ModelError where the folder of a cross-encoder says more of its inputs and scores than its tokenizer and
    its classification head do."""
    modules = read_modules(folder)
    if len(modules) > 1 or (modules and modules[0]["path"]):
        raise ModelError("a cross-encoder with modules of its own is not run without torch")
    if read_json(folder / "config_sentence_transformers.json").get("default_prompt_name"):
        raise ModelError("a cross-encoder with a prompt is not run without torch")
    task = read_json(folder / "sentence_bert_config.json").get("transformer_task", CLASSIFIES)
    architectures = read_json(folder / "config.json").get("architectures") or [CLASSIFIES]
    if task != CLASSIFIES or not any("SequenceClassification" in name or name == CLASSIFIES for name in architectures):
        raise ModelError("a cross-encoder without a classification head is not run without torch")


def read_modules(folder: Path) -> list[dict[str, Any]]:
    """The modules that sentence-transformers makes the model of; none where it did not save it."""
    file = folder / "modules.json"
    modules: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    return modules


def _pooling(folder: Path, config: dict[str, Any]) -> str:
    modes = _pooling_modes(config)
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise ModelError(f"a pooling by {' and '.join(modes)} is not run without torch")
    if not config.get("include_prompt", True) and any(read_prompts(folder)):
        raise ModelError("a pooling that leaves the prompt out is not run without torch")
    return str(modes[0])


def _pooling_modes(config: dict[str, Any]) -> list[str]:
    own = config.get("pooling_mode") or [mode for name, mode in POOLING_MODES.items() if config.get(name)] or ["mean"]
    return [own] if isinstance(own, str) else list(own)


def _projection(folder: Path, config: dict[str, Any]) -> Projection:
    activation = str(config.get("activation_function", "torch.nn.modules.activation.Tanh")).rsplit(".", 1)[-1]
    reads = config.get("module_input_name", "sentence_embedding")
    writes = config.get("module_output_name") or reads
    if activation not in ACTIVATIONS or config.get("use_residual") or {reads, writes} != {"sentence_embedding"}:
        raise ModelError(f"the layer in {folder} is not run without torch")
    return Projection(folder, int(config["out_features"]), ACTIVATIONS[activation])


def _max_tokens(
    config: dict[str, Any], settings: dict[str, Any], own: dict[str, Any], family: Family | None, cut: dict[str, Any]
) -> int:
    if own.get("max_seq_length"):
        return int(own["max_seq_length"])
    positions = config.get("max_position_embeddings") or 0
    if positions > 0 and config.get("model_type") in PADDED_IDS:
        positions -= int(config.get("pad_token_id", 1)) + 1
    known = [int(limit) for limit in (settings.get("model_max_length"), positions) if limit and 0 < limit < UNLIMITED]
    if known:
        return min(known)
    if family:
        return family.max_tokens or DEFAULT_MAX_TOKENS
    return int(cut.get("max_length") or DEFAULT_MAX_TOKENS)


def _as_used(stored: dict[str, Any], settings: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer, which neither cuts nor pads, with what the folder's other files say of it."""
    used = stored | {"truncation": None, "padding": None}
    normalizer = used.get("normalizer")
    if normalizer and normalizer.get("type") == "BertNormalizer":
        names = {"lowercase": "do_lower_case", "strip_accents": "strip_accents"}
        names["handle_chinese_chars"] = "tokenize_chinese_chars"
        normalizer = normalizer | {key: settings[name] for key, name in names.items() if name in settings}
        used["normalizer"] = normalizer
    if own.get("do_lower_case"):
        others = normalizer.get("normalizers", [normalizer]) if normalizer else []
        if not any(other.get("type") == "Lowercase" or other.get("lowercase") for other in others):
            used["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, *others]}
    return used


def _pad_token(folder: Path, settings: dict[str, Any], padding: dict[str, Any], tokenizer: Any) -> str:
    for config in (settings, read_json(folder / "special_tokens_map.json"), padding):
        token = config.get("pad_token")
        text = token.get("content") if isinstance(token, dict) else token
        if text:
            return str(text)
    known = next((text for text in PAD_TOKENS if tokenizer.token_to_id(text) is not None), None)
    if known is None:
        raise ModelError(f"the tokenizer in {folder} does not say what texts are padded with")
    return known
