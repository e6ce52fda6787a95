"""What publishers say of their encoders where a model's folder does not say it: what goes before a query and a
passage, and how token vectors become one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from connector.models.files import has_safetensors, read_json
from connector.models.places.source import read_source


@dataclass(frozen=True, slots=True)
class Family:
    """`names` are the published names, without their owners, as a pattern."""

    names: str
    pooling: str  # a mode of sentence-transformers
    query_prompt: str = ""
    passage_prompt: str = ""
    max_tokens: int = 0  # where it is not what most read


FOR_PASSAGES = "Represent this sentence for searching relevant passages: "
# each from the model's page on the hub
FAMILIES = (
    # intfloat: "each input text should start with 'query: ' or 'passage: '"; average_pool
    Family(r"(multilingual-)?e5-(small|base|large)(-v2|-unsupervised)?", "mean", "query: ", "passage: "),
    # BAAI: "add an instruction to each query", none to passages; "model_output[0][:, 0]"
    Family(r"bge-(small|base|large)-en(-v1\.5)?", "cls", FOR_PASSAGES),
    Family(r"bge-(small|base|large)-zh(-v1\.5)?", "cls", "为这个句子生成表示以用于检索相关文章："),
    Family(r"bge-m3", "cls", max_tokens=8192),  # "you don't need to add an instruction to the queries"
    # thenlper, Alibaba-NLP: no prompts; average_pool, later "last_hidden_state[:, 0]"
    Family(r"gte-(small|base|large)", "mean"),
    Family(r"gte-(base|large)-en-v1\.5|gte-multilingual-base|gte-modernbert-base", "cls", max_tokens=8192),
    # nomic-ai: "the text prompt must include a task instruction prefix"; mean_pooling
    Family(r"nomic-embed-text-v1(\.5)?", "mean", "search_query: ", "search_document: ", 8192),
    Family(r"nomic-embed-text-v2-moe", "mean", "search_query: ", "search_document: "),
    Family(r"modernbert-embed-(base|large)", "mean", "search_query: ", "search_document: ", 8192),
    # Snowflake: "use the query prefix ... (just on the query)"; the CLS token
    Family(r"snowflake-arctic-embed-(xs|s|m|l|m-v1\.5|m-long)", "cls", FOR_PASSAGES),
    Family(r"snowflake-arctic-embed-(m|l)-v2\.0", "cls", "query: ", max_tokens=8192),
    # mixedbread-ai: "provide the prompt for the query", none for passages; pooling "cls"
    Family(r"mxbai-embed-(xsmall|large)-v1|mxbai-embed-2d-large-v1", "cls", FOR_PASSAGES),
    Family(r"all-minilm-l6-v2", "mean", max_tokens=256),
    Family(r"all-minilm-l12-v2", "mean", max_tokens=128),
)
SUFFIXES = r"([-_](onnx|q|quantized|int8|fp32))*"  # of copies that somebody else converted


def find_family(folder: Path) -> Family | None:
    """The family of the model in a folder, by its published name."""
    name = _published_name(folder).rsplit("/", 1)[-1].lower()
    return next((family for family in FAMILIES if re.fullmatch(family.names + SUFFIXES, name)), None)


def _published_name(folder: Path) -> str:
    """From where the folder was fetched; else, of a converted graph, what it was converted from; else the folder's own
    name.

    Weights of their own may have been trained further from the model that their configuration names."""
    source = read_source(folder)
    if source:
        return source.name
    if folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--"):  # the hub's cache
        return folder.parents[1].name.removeprefix("models--").replace("--", "/")
    converted = "" if has_safetensors(folder) else str(read_json(folder / "config.json").get("_name_or_path") or "")
    return converted or folder.name
