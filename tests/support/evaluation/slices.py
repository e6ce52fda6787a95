"""A few judged queries of the example corpus with the beginnings of what they have judgments for: a collection in
seconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parents[3] / "examples" / "corpus"


def rows(name: str) -> list[dict[str, Any]]:
    """The lines of a file of the corpus."""
    return [json.loads(line) for line in (CORPUS / name).read_text(encoding="utf-8").splitlines()]


def queries_of(kinds: Sequence[str], count: int) -> list[dict[str, Any]]:
    """The first `count` queries of each kind."""
    queries = rows("queries.jsonl")
    return [query for kind in kinds for query in [row for row in queries if row["kind"] == kind][:count]]


def write_slice(
    folder: Path,
    queries: Sequence[dict[str, Any]],
    *,
    chars: int,
    least_grade: int = 0,
    long_chars: int = 0,
    long_every: int = 1,
) -> list[list[str]]:
    """Write the collection of these queries; documents are cut after `chars`, 300 of which are one passage, and each
    `long_every`-th of them after `long_chars`. What a model reads of them is most of what a test costs. Gives the
    judgments."""
    asked = {query["_id"] for query in queries}
    judgments = [line.split("\t") for line in (CORPUS / "qrels.tsv").read_text().splitlines()[1:]]
    kept = [judgment for judgment in judgments if judgment[0] in asked and int(judgment[2]) >= least_grade]
    judged = {judgment[1] for judgment in kept}
    documents = [
        document | {"text": document["text"][: max(chars, long_chars) if at % long_every == 0 else chars]}
        for at, document in enumerate(document for document in rows("corpus.jsonl") if document["_id"] in judged)
    ]
    folder.mkdir(exist_ok=True)
    for name, content in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    (folder / "qrels.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join("\t".join(judgment) + "\n" for judgment in kept)
    )
    return kept
