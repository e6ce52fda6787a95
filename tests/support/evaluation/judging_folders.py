"""A judging folder in a test: queries, a pool, runs, and grades whose truth the test knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from connector.evaluation.trec import write_run
from connector.judging.folder import JudgingFolder
from connector.judging.grades import Grade
from connector.judging.pairs import Pair, write_pairs
from connector.types import Hit

SEED = 11


def make_judging_folder(
    path: Path, *, queries: int = 12, depth: int = 10
) -> tuple[JudgingFolder, dict[tuple[str, str], int]]:
    """Each query with documents of known grades, and three pipelines, of which each is worse than the one before it:
    the folder, and the true grade of each pair. A passage ends with its id, and a query with its own."""
    random = np.random.default_rng(SEED)
    folder = JudgingFolder.make(path)
    truth: dict[tuple[str, str], int] = {}
    runs: dict[str, dict[str, tuple[Hit, ...]]] = {"sharp": {}, "dull": {}, "blind": {}}
    for at in range(queries):
        grades = dict(
            zip((f"d{at}-{rank}" for rank in range(depth)), map(int, random.integers(0, 4, depth)), strict=True)
        )
        truth |= {(f"q{at}", doc_id): grade for doc_id, grade in grades.items()}
        for name, noise in (("sharp", 0.3), ("dull", 2.0), ("blind", 50.0)):
            scores = {doc_id: grade + noise * random.normal() for doc_id, grade in grades.items()}
            runs[name][f"q{at}"] = tuple(
                Hit(doc_id, scores[doc_id]) for doc_id in sorted(scores, key=lambda doc_id: -scores[doc_id])
            )
    folder.queries_file.write_text(
        "".join(json.dumps({"_id": f"q{at}", "text": f"question q{at}"}) + "\n" for at in range(queries))
    )
    pairs = [
        Pair(query_id, doc_id, order, {"title": "A page", "text": f"text of {doc_id}"})
        for order, (query_id, doc_id) in enumerate(truth)
    ]
    write_pairs(folder.pool_file, pairs)
    (path / "runs").mkdir(exist_ok=True)
    for name, run in runs.items():
        write_run(folder.run_file(name), run, name)
    return folder, truth


def grade_all(folder: JudgingFolder, grades: Mapping[tuple[str, str], int], by: str = "anna") -> None:
    """As a person does."""
    folder.grades().extend(Grade(query_id, doc_id, grade, by) for (query_id, doc_id), grade in grades.items())
