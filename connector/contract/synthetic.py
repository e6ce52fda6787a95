"""Three hundred documents made by a seeded generator, with every kind of value, and what filters on them must give."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings
from connector.settings.sections import Settings
from connector.types import Document, IndexedDocument, Passage, Vector, Vectors
from connector.values import check_value, to_instant

DIMS = 16
COUNT = 300
SEED = 7
METADATA: dict[str, Any] = {
    "tier": "keyword",
    "tags": "keyword[]",
    "number": "integer",
    "price": "number",
    "flag": "boolean",
    "date": "date",
    "extra": "stored",
}
FIELDS = Fields(text={"title": 2.0, "text": 1.0}, metadata=METADATA)
ENCODER = EncoderFingerprint("synthetic", "0123456789abcdef", DIMS, 256)
TIERS = (
    "gold",
    "silver",
    "O'Brien",
    'say "so"',
    "back\\slash",
    "Größe 1",
    "日本語",
    "100%_*?",
    "a'; --",
    "Gold",
    "🙂 ok",
)
TAGS = ("red", "green", "it's", 'in "quotes"', "ünï", "comma, dot.", "🙂")
DATES = ("2023-12-31", "2024-01-15", "2024-01-15T00:00:00.001Z", "2024-01-15T12:30:00Z", "2024-01-15T23:59:59.999Z",
         "2024-01-16", "2024-02-29T05:00:00+05:00", "1969-07-20", "2031-06-01")  # fmt: skip
NUMBERS = (0, 1, 7, -3, -(2**40), 2**53 + 1, 2**53 + 2, 41, 42)
PRICES = (0.0, 9.99, 10.0, 10.01, -2.5, 1e12, 0.1 + 0.2)

FILTERS: tuple[Any, ...] = (
    *({"term": {"tier": value}} for value in TIERS),
    *({"term": {"tags": value}} for value in TAGS),
    {"term": {"tier": "nobody"}},
    {"terms": {"tier": ["gold", "O'Brien", "nobody"]}},
    {"terms": {"tags": ["red", "it's"]}},
    {"term": {"number": 7}},
    {"term": {"number": 2**53 + 1}},
    {"terms": {"number": [41, 42, 43]}},
    {"term": {"price": 0.1 + 0.2}},
    {"term": {"flag": True}},
    {"term": {"flag": "false"}},
    {"term": {"date": "2024-01-15"}},
    {"terms": {"date": ["2024-01-16", "2024-01-15T12:30:00Z"]}},
    {"range": {"number": {"gte": -3, "lt": 7}}},
    {"range": {"number": {"gt": 2**53 + 1}}},
    {"range": {"number": {"gt": 7, "lt": 7}}},
    {"range": {"number": {"gte": 50, "lte": 10}}},
    {"range": {"price": {"gt": 9.99, "lte": 10.01}}},
    {"range": {"price": {"lt": 0}}},
    {"range": {"date": {"gte": "2024-01-15"}}},
    {"range": {"date": {"gt": "2024-01-15"}}},
    {"range": {"date": {"lte": "2024-01-15"}}},
    {"range": {"date": {"lt": "2024-01-15"}}},
    {"range": {"date": {"gte": "2024-01-15T00:00:00.001Z", "lt": "2024-01-15T23:59:59.999Z"}}},
    {"range": {"date": {"lt": "1970"}}},
    {"range": {"date": {"gte": "2024-02", "lte": "2024-02-29T00:00:00Z"}}},
    {"range": {"tier": {"gte": "a", "lt": "h"}}},
    *({"exists": name} for name in METADATA if name != "extra"),
    {"not": {"exists": "tier"}},
    {"not": {"term": {"tier": "gold"}}},
    {"not": {"terms": {"tags": ["red", "green"]}}},
    {"not": {"range": {"date": {"gte": "2024-01-15"}}}},
    {"not": {"not": {"term": {"flag": True}}}},
    {"not": {"or": [{"term": {"tier": "gold"}}, {"not": {"exists": "number"}}]}},
    {"not": {"and": [{"exists": "tags"}, {"not": {"range": {"price": {"gte": 10}}}}]}},
    {"or": [{"term": {"tier": "日本語"}}, {"term": {"tags": "🙂"}}, {"not": {"exists": "date"}}]},
    {"and": [{"not": {"term": {"tier": "gold"}}}, {"not": {"term": {"tags": "red"}}}, {"exists": "number"}]},
    {"and": [{"or": [{"not": {"exists": "tier"}}, {"term": {"flag": False}}]}, {"range": {"date": {"lt": "2025"}}}]},
    {"and": [{"term": {"tags": "red"}}, {"term": {"tags": "green"}}]},
    ["tier!=gold", "number>=0", "date<2024-01-16"],
    ["tags=red,green", "!tier?"],
)


def schema(*, vectors: str = "auto") -> IndexSchema:
    """That of an index of these documents, all else as the settings have it."""
    defaults = Settings()
    return IndexSchema(
        FIELDS,
        ENCODER,
        analyzer=defaults.index.analyzer,
        passages=PassageSettings(**defaults.passages.model_dump()),
        vectors=replace(VectorSettings(**defaults.index.vectors.model_dump()), index=vectors),
        dims=DIMS,
    )


def make_documents(count: int = COUNT, *, seed: int = SEED) -> list[IndexedDocument]:
    """Documents with 0 to 4 passages; each value is absent from about every third."""
    chance, numbers = random.Random(seed), np.random.default_rng(seed)
    return [_make(ordinal, chance, numbers) for ordinal in range(count)]


def make_document(doc_id: str, texts: Sequence[str], vectors: Vectors, **fields: Any) -> IndexedDocument:
    """A document whose text is its passages."""
    values = {"title": doc_id, "text": "\n".join(texts)} | fields
    passages = tuple(Passage(doc_id, ordinal, text) for ordinal, text in enumerate(texts))
    return IndexedDocument(Document(doc_id, values), f"hash of {doc_id}", passages, vectors)


def unit_vectors(numbers: np.random.Generator, count: int) -> Vectors:
    vectors: Vectors = numbers.standard_normal((count, DIMS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def cosines(documents: Sequence[IndexedDocument], vector: Vector) -> dict[str, list[tuple[float, int]]]:
    """(cosine, ordinal) of every document's passages, best first; documents without passages are left out."""
    return {
        indexed.document.doc_id: sorted(
            ((float(own @ vector), at) for at, own in enumerate(indexed.vectors)), reverse=True
        )
        for indexed in documents
        if indexed.passages
    }


def matches(found: Any, fields: Mapping[str, Any]) -> bool:
    """Whether a document has what a filter in JSON (or a list of it in text) asks for; written without the code under
    test."""
    if isinstance(found, str):
        return matches(TEXTS[found], fields)
    if isinstance(found, list):
        return all(matches(TEXTS[part], fields) for part in found)
    ((kind, body),) = found.items()
    match kind:
        case "and":
            return all(matches(part, fields) for part in body)
        case "or":
            return any(matches(part, fields) for part in body)
        case "not":
            return not matches(body, fields)
        case "exists":
            return fields.get(body) is not None
    ((name, wanted),) = body.items()
    have = fields.get(name)
    if have is None:
        return False
    if kind == "range":
        return all(COMPARE[bound](*_comparable(name, have, value)) for bound, value in wanted.items())
    pairs = product(have if isinstance(have, list) else [have], wanted if kind == "terms" else [wanted])
    return any(mine == asked for mine, asked in (_comparable(name, *pair) for pair in pairs))


COMPARE = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}
TEXTS: dict[str, Any] = {
    "tier!=gold": {"not": {"term": {"tier": "gold"}}},
    "number>=0": {"range": {"number": {"gte": 0}}},
    "date<2024-01-16": {"range": {"date": {"lt": "2024-01-16"}}},
    "tags=red,green": {"terms": {"tags": ["red", "green"]}},
    "!tier?": {"not": {"exists": "tier"}},
    "number>=-10000000000000": {"range": {"number": {"gte": -(10**13)}}},
}


def describe(found: Any) -> str:
    """A filter as the name of a test."""
    return json.dumps(found, ensure_ascii=True).replace(" ", "")[:70]


def _comparable(name: str, value: Any, wanted: Any) -> tuple[Any, Any]:
    """Both in one form: a date that is asked for without a time is compared as far as it goes."""
    if METADATA[name] == "date" and len(wanted) <= len("2024-01-15"):
        return to_instant(value).isoformat()[: len(wanted)], wanted
    if METADATA[name] == "date":
        return to_instant(value), to_instant(wanted)
    if METADATA[name] == "boolean":
        return str(value).lower() == "true", str(wanted).lower() == "true"
    return value, wanted


def _make(ordinal: int, chance: random.Random, numbers: np.random.Generator) -> IndexedDocument:
    doc_id = ("d{}", "D/{}", "ü {}", "a,b'{}", 'q"{}#')[ordinal % 5].format(ordinal)
    texts = [f"passage{at} of only{ordinal}x{at}" for at in range(chance.randint(0, 4))]
    values: dict[str, Any] = {
        "tier": chance.choice(TIERS),
        "tags": chance.sample(TAGS, chance.randint(1, 3)),
        "number": chance.choice(NUMBERS),
        "price": chance.choice(PRICES),
        "flag": chance.random() < 0.5,
        "date": chance.choice(DATES),
        "extra": {"nested": [ordinal, {"deep": "ü"}], "when": "2024-13-45"},
    }
    fields = {
        name: check_value(name, METADATA[name], value) for name, value in values.items() if chance.random() < 0.67
    }
    text = "\n".join(["every document", *texts])
    return make_document(
        doc_id, texts, unit_vectors(numbers, len(texts)), title=f"Report title{ordinal}", text=text, **fields
    )
