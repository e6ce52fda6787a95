"""What a folder says of its model, and what is known of families where it does not say it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector.errors import ModelError
from connector.models.description import (
    Projection,
    TextHead,
    read_pooling,
    read_prompts,
    read_recipe,
    read_text_head,
    require_plain_pairs,
)
from connector.models.places.source import ModelSource, write_source

FOR_PASSAGES = "Represent this sentence for searching relevant passages: "
MODULES = [
    {"path": "", "type": "sentence_transformers.models.Transformer"},
    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {"path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def say(folder: Path, **files: Any) -> Path:
    """A model's folder whose files say this."""
    for name, content in files.items():
        file = folder / f"{name.replace('__', '/')}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("name", "pooling", "queries", "passages"),
    [
        ("e5-small-v2", "mean", "query: ", "passage: "),
        ("multilingual-e5-large", "mean", "query: ", "passage: "),
        ("bge-small-en-v1.5", "cls", FOR_PASSAGES, ""),
        ("bge-m3", "cls", "", ""),
        ("gte-small", "mean", "", ""),
        ("gte-base-en-v1.5", "cls", "", ""),
        ("nomic-embed-text-v1.5", "mean", "search_query: ", "search_document: "),
        ("snowflake-arctic-embed-xs", "cls", FOR_PASSAGES, ""),
        ("snowflake-arctic-embed-m-v2.0", "cls", "query: ", ""),
        ("bge-small-en-v1.5-onnx-Q", "cls", FOR_PASSAGES, ""),  # as fastembed names its copies
        ("e5-small-of-our-own", "mean", "", ""),
    ],
)
def test_what_publishers_say_of_their_families(
    tmp_path: Path, name: str, pooling: str, queries: str, passages: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()

    assert read_prompts(folder) == (queries, passages)
    assert read_text_head(folder) == TextHead(pooling)
    assert read_pooling(folder) == pooling


def test_a_model_is_known_by_where_it_came_from(tmp_path: Path) -> None:
    folder = say(tmp_path / "models--intfloat--e5-base" / "snapshots" / "0123", config={"_name_or_path": "bge-m3"})
    assert read_prompts(folder)[0] == "query: "
    write_source(folder, ModelSource("BAAI/bge-small-en-v1.5", "maven", "MIT", {}))
    assert read_prompts(folder)[0] == FOR_PASSAGES

    converted = say(tmp_path / "mine", config={"_name_or_path": "intfloat/e5-base"})
    assert read_prompts(converted)[0] == "query: "
    (converted / "model.safetensors").touch()  # which may have been trained further from what it names
    assert read_prompts(converted)[0] == ""


def test_what_the_folder_says_comes_first(tmp_path: Path) -> None:
    content = {"prompts": {"query": "ask: ", "other": "else: "}, "default_prompt_name": "other"}
    folder = say(tmp_path / "e5-small-v2", config_sentence_transformers=content, modules=MODULES[:2])
    say(folder, **{"1_Pooling__config": {"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}})

    assert read_prompts(folder) == ("ask: ", "else: ")
    assert read_text_head(folder) == TextHead("lasttoken")
    say(folder, config_sentence_transformers={"prompts": {"query": "", "document": ""}})  # which is how it says nothing
    assert read_prompts(folder) == ("query: ", "passage: ")


@pytest.mark.parametrize(
    ("content", "pooling"),
    [
        ({}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, "cls+max"),
        ({"pooling_mode": ["mean"], "include_prompt": False}, "mean without the prompt"),
    ],
)
def test_a_pooling_is_told_in_a_word_also_where_it_needs_torch(tmp_path: Path, content: Any, pooling: str) -> None:
    folder = say(tmp_path, modules=MODULES, **{"1_Pooling__config": content})

    assert read_pooling(folder) == pooling
    assert read_pooling(say(folder, modules=[MODULES[0], {"path": "1_Own", "type": "own.Head"}])) == ""


def test_layers_after_the_pooling_are_read(tmp_path: Path) -> None:
    dense = {
        "in_features": 8,
        "out_features": 3,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    folder = say(tmp_path, modules=MODULES, **{"1_Pooling__config": {"pooling_mode": "cls"}, "2_Dense__config": dense})

    assert read_text_head(folder) == TextHead("cls", (Projection(folder / "2_Dense", 3, ""),))


@pytest.mark.parametrize(
    ("pooling", "dense", "reason"),
    [
        ({"pooling_mode": ["cls", "mean"]}, {}, "a pooling by cls and mean is not run without torch"),
        ({"pooling_mode": "max"}, {}, "a pooling by max is not run"),
        ({"pooling_mode": "mean", "include_prompt": False}, {}, "a pooling that leaves the prompt out"),
        ({"pooling_mode": "mean"}, {"use_residual": True}, "the layer in .*2_Dense is not run without torch"),
        ({"pooling_mode": "mean"}, {"activation_function": "torch.nn.SiLU"}, "the layer in .*2_Dense is not run"),
    ],
)
def test_what_needs_torch_says_why(tmp_path: Path, pooling: Any, dense: Any, reason: str) -> None:
    prompts = {"prompts": {"query": "ask: "}}
    files = {"1_Pooling__config": pooling, "2_Dense__config": {"out_features": 3, **dense}}
    folder = say(tmp_path, modules=MODULES, config_sentence_transformers=prompts, **files)

    with pytest.raises(ModelError, match=reason):
        read_text_head(folder)


@pytest.mark.parametrize(
    ("modules", "reason"),
    [
        ([{"path": "0_BoW", "type": "sentence_transformers.models.BoW"}], "a model that begins with 0_BoW is not run"),
        ([{"path": "", "type": "own.CLIPModel"}], "a model that begins with CLIPModel is not run"),
        ([MODULES[0], {"path": "1_LSTM", "type": "sentence_transformers.models.LSTM"}], "with a module LSTM is not"),
        ([MODULES[0], MODULES[3]], "whose modules have no Pooling makes no vectors of texts"),
    ],
)
def test_modules_that_need_torch_say_why(tmp_path: Path, modules: Any, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        read_text_head(say(tmp_path, modules=modules))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"modules": MODULES[:2]}, "with modules of its own"),
        ({"config_sentence_transformers": {"default_prompt_name": "web"}}, "with a prompt"),
        ({"sentence_bert_config": {"transformer_task": "text-generation"}}, "without a classification head"),
        ({"config": {"architectures": ["BertModel"]}}, "without a classification head"),
    ],
)
def test_a_cross_encoder_that_needs_torch_says_why(tmp_path: Path, files: Any, reason: str) -> None:
    require_plain_pairs(say(tmp_path, config={"architectures": ["BertForSequenceClassification"]}))
    with pytest.raises(ModelError, match=f"a cross-encoder {reason} is not run without torch"):
        require_plain_pairs(say(tmp_path, **files))


def copy_tokenizer(folder: Path, to: Path) -> Path:
    to.mkdir()
    (to / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    return to


def test_the_limit_is_the_lowest_that_is_said(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    folder = copy_tokenizer(tiny_encoder_folder, tmp_path / "any")
    stored = json.loads((folder / "tokenizer.json").read_text())
    say(folder, tokenizer=stored | {"truncation": None})
    assert read_recipe(folder, 4).max_tokens == 512
    cut = {"max_length": 99, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    say(folder, tokenizer=stored | {"truncation": cut})
    assert read_recipe(folder, 4).max_tokens == 99
    say(folder, config={"max_position_embeddings": 130, "pad_token_id": 1, "model_type": "roberta"})
    assert read_recipe(folder, 4).max_tokens == 128  # the first positions of this family are the padding's
    say(folder, tokenizer_config={"model_max_length": 100, "pad_token": {"content": "[PAD]"}, "padding_side": "left"})
    recipe = read_recipe(folder, 4)
    assert (recipe.max_tokens, recipe.pad_token, recipe.pad_id, recipe.pad_on) == (100, "[PAD]", 0, "left")
    say(folder, sentence_bert_config={"max_seq_length": 77})
    assert read_recipe(folder, 4).max_tokens == 77


def test_what_no_file_says_is_known_by_the_family_or_the_words(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    folder = copy_tokenizer(tiny_encoder_folder, tmp_path / "e5-small-v2")
    stored = json.loads((folder / "tokenizer.json").read_text())
    say(folder, tokenizer=stored | {"truncation": None, "padding": None})
    recipe = read_recipe(folder, 4)
    (folder / "tokenizer.json").write_text(Tokenizer(WordLevel({"a": 0, "[UNK]": 1}, "[UNK]")).to_str())

    assert (recipe.max_tokens, recipe.pad_token) == (512, "[PAD]")
    with pytest.raises(ModelError, match="does not say what texts are padded with"):
        read_recipe(folder, 4)


def test_letters_are_lowered_where_the_folder_says_so(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    folder = copy_tokenizer(tiny_encoder_folder, tmp_path / "any")

    def tokens(**files: Any) -> list[str]:
        read = Tokenizer.from_str(read_recipe(say(folder, **files), 4).tokenizer)
        return list(read.encode("Red FISH", add_special_tokens=False).tokens)

    assert tokens() == ["red", "fish"]
    assert tokens(tokenizer_config={"do_lower_case": False}) != ["red", "fish"]
    assert tokens(sentence_bert_config={"do_lower_case": True}) == ["red", "fish"]


def test_a_tokenizer_that_is_none_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no tokenizer\.json, which a model without torch is run with"):
        read_recipe(tmp_path, 4)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"cannot read .*tokenizer\.json: it is no tokenizer"):
        read_recipe(tmp_path, 4)
