"""What a model judge of a known error is worth: most judgments of a collection are hidden, and an endpoint that knows
them answers for them, wrong as often as it is told to be.

    make bench-judging-hidden DATA="FOLDER FOLDER:150:2400"     # BEIR-layout folders or seeded parts of them
    make bench-judging-hidden DATA=FOLDER ARGS="--errors 0 0.3 --kept 0.1"

The pipelines of bench-judging run through the real path, and their first k documents are pooled. A person's grades of
a share of the pairs are kept. `connector judge llm` asks the endpoint for all of them. Three things are looked at:
whether the agreement with the person is the one that such an error makes, whether the pipelines come in the order of
the full judgments, and after how many grades they do, beside plain pooling. A document that the collection does not
judge has the grade 0; the highest grade of a collection is 3."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from judging import Trial, grades_needed, make_parser, run_here, try_collections
from parts import part_of
from quality import console, ingest, settings_for
from rich.console import Console
from rich.table import Table

from connector.evaluation.files.datasets import Collection, read_collection
from connector.judging.folder import JudgingFolder
from connector.judging.grades import GRADES, Grade
from connector.judging.pairs import PairKey
from connector.judging.pooling.depth import lot, pool_keys
from connector.judging.pooling.pool import Pooling, make_pool, write_runs
from connector.judging.resolve import resolve
from connector.judging.trust.agreement import weighted_kappa

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.servers.chat_server import chat_server

SEED = 13
MODEL, PERSON = "stub", "person"
ORDERS_TRIED = ("decide", "depth")
Grades = Mapping[PairKey, int]


@dataclass(frozen=True, slots=True)
class AnsweredTrial(Trial):
    """The same runs, whose collection has the grades that were given; the order that is right is that of the truth."""

    right: tuple[tuple[int, int], ...]

    def told_apart(self) -> list[tuple[int, int]]:
        return [*self.right]


@dataclass(frozen=True, slots=True)
class Hidden:
    """The pool of a collection: the true grade of every pair, and those that a person gave."""

    trial: Trial
    truth: Grades
    kept: Grades
    told_apart: tuple[tuple[int, int], ...]  # pipelines, the better one first

    @property
    def keys(self) -> list[PairKey]:
        return [*self.truth]


def hide(trial: Trial, share: float) -> Hidden:
    """All but a share of the pairs, drawn by their names, lose their grade."""
    qrels = trial.collection.qrels
    keys = pool_keys(trial.runs.values(), trial.k)
    truth = {(query_id, doc_id): qrels[query_id].get(doc_id, 0) for query_id, doc_id in keys}
    kept = {key: truth[key] for key in keys if chance("kept", key) < share}
    return Hidden(trial, truth, kept, tuple(trial.told_apart()))


def chance(purpose: str, key: PairKey) -> float:
    """A number from 0 to 1 that belongs to a pair."""
    return int.from_bytes(lot(SEED, purpose, *key)) / 2**64


def answer(key: PairKey, grade: int, error: float) -> int:
    """The grade, or with that probability one of the three others."""
    if chance("wrong", key) >= error:
        return grade
    others = [other for other in GRADES if other != grade]
    return others[int(chance("which", key) * len(others))]


def known_kappa(hidden: Hidden, error: float) -> float | None:
    """What weighted kappa such an error makes of the pairs that the person judged."""
    counts = np.zeros((len(GRADES), len(GRADES)))
    for grade in hidden.kept.values():
        counts[grade] += error / (len(GRADES) - 1)
        counts[grade, grade] += 1 - error - error / (len(GRADES) - 1)
    return weighted_kappa(counts)


def make_folder(path: Path, hidden: Hidden, documents: Mapping[str, Mapping[str, str]]) -> JudgingFolder:
    """A judging folder with the pool and what the person judged."""
    folder = JudgingFolder.make(path)
    rows = ({"_id": query.query_id, "text": query.text} for query in hidden.trial.collection.queries)
    folder.queries_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_runs(folder, hidden.trial.runs)
    make_pool(folder, Pooling(hidden.trial.k), {key: documents[key[1]] for key in hidden.keys})
    folder.grades().extend(Grade(*key, grade, PERSON) for key, grade in hidden.kept.items())
    return folder


def ask_model(folder: JudgingFolder, hidden: Hidden, error: float) -> dict[str, Any]:
    """What `connector judge llm` says of a model that errs so often."""
    texts = {query.query_id: query.text for query in hidden.trial.collection.queries}
    pairs = {(texts[pair.query_id], "\n".join(pair.fields.values())): pair.key for pair in folder.pairs()}

    def reply(query: str, passage: str) -> str:
        key = pairs[query, passage]
        return f"##final score: {answer(key, hidden.truth[key], error)}"

    with chat_server(reply) as server:
        command = [sys.executable, "-m", "connector", "judge", "llm", str(folder.path), "--url", server.url]
        measured = ("--measure", hidden.trial.measure)
        asked = subprocess.run(
            [*command, "--model", MODEL, "--max-passage-chars", "1000000", "--yes", "--json", *measured],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode:
            sys.exit(asked.stderr)
        figures: dict[str, Any] = json.loads(asked.stdout)
        return figures | {"requests": len(server.requests)}


def try_error(hidden: Hidden, documents: Mapping[str, Mapping[str, str]], error: float) -> dict[str, Any]:
    """The figures of one rate of error."""
    with tempfile.TemporaryDirectory() as path:
        folder = make_folder(Path(path) / "judged", hidden, documents)
        figures = ask_model(folder, hidden, error)
        counted = {
            (resolved.query_id, resolved.doc_id): resolved.grade for resolved in resolve(folder.grades().read()).grades
        }
    (compared,) = figures["comparisons"]
    qrels: dict[str, dict[str, int]] = {query.query_id: {} for query in hidden.trial.collection.queries}
    for (query_id, doc_id), grade in counted.items():
        qrels[query_id][doc_id] = grade
    trial, judged = hidden.trial, replace(hidden.trial.collection, qrels=qrels)
    answered = AnsweredTrial(trial.name, judged, trial.runs, trial.k, trial.tie, hidden.told_apart)
    means = [*answered.full().values()]
    return {
        "error": error,
        "requests": figures["requests"],
        "pairs_of_both": compared["pairs"],
        "kappa": compared["kappa"],
        "kappa_interval": compared["kappa_interval"],
        "kappa_known": known_kappa(hidden, error),
        "same": compared["same"],
        "means": {name: round(value, 4) for name, value in answered.full().items()},
        "order_is_right": all(means[better] > means[worse] for better, worse in hidden.told_apart),
        "grades_until_settled": {
            "decide": grades_needed(answered, "decide", SEED).expected,
            "depth": grades_needed(answered, "depth", SEED).measured,
        },
    }


def try_collection(given: str, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one collection, printed as a table too."""
    folder = part_of(given)
    collection = on_scale(read_collection(folder))
    settings = settings_for(folder, options.cluster, options.set)
    ingest(folder, settings)
    runs = run_here(collection, folder, options)
    hidden = hide(Trial(given.rstrip("/").rpartition("/")[2], collection, runs, options.k, options.tie), options.kept)
    documents = read_documents(folder)
    console.print(f"{hidden.trial.name}: {len(hidden.truth):,} pairs pooled")
    result = {
        "collection": hidden.trial.name,
        "queries": len(collection.queries),
        "depth_pool": len(hidden.truth),
        "kept": len(hidden.kept),
        "pairs_told_apart": len(hidden.told_apart),
        "full": {name: round(value, 4) for name, value in hidden.trial.full().items()},
        "errors": [try_error(hidden, documents, error) for error in options.errors],
    }
    Console().print(_table(result))
    return result


def on_scale(collection: Collection) -> Collection:
    """With grades from 0 to 3: the highest of the collection is 3, and what is relevant is 1 at least."""
    top = max(GRADES)
    qrels = {
        query_id: {
            doc_id: max(round(grade * top / collection.highest_grade), 1) if grade > 0 else 0
            for doc_id, grade in grades.items()
        }
        for query_id, grades in collection.qrels.items()
    }
    return Collection(collection.name, collection.queries, qrels, scale=top)


def read_documents(folder: Path) -> dict[str, dict[str, str]]:
    """Title and text of each document."""
    from connector.evaluation.files.text_file import numbered_lines

    (file,) = folder.glob("corpus.jsonl*")
    rows = (json.loads(line) for _, line in numbered_lines(file))
    return {row["_id"]: {name: row[name] for name in ("title", "text") if row.get(name)} for row in rows}


def _table(result: Mapping[str, Any]) -> Table:
    title = (
        f"{result['collection']}: {result['queries']} queries, {result['depth_pool']:,} pairs by depth, "
        f"{result['kept']:,} judged by a person"
    )
    columns = ("error", "kappa", "interval", "known", "order", *(f"grades, {order}" for order in ORDERS_TRIED))
    table = Table(*columns, title=title, title_justify="left", show_edge=False)
    for found in result["errors"]:
        kappa, between, known = found["kappa"], found["kappa_interval"], found["kappa_known"]
        needed = (found["grades_until_settled"][order] for order in ORDERS_TRIED)
        table.add_row(
            f"{found['error']:g}",
            "–" if kappa is None else f"{kappa:.3f}",
            "–" if between is None else f"{between[0]:.3f} to {between[1]:.3f}",
            "–" if known is None else f"{known:.3f}",
            "right" if found["order_is_right"] else "another",
            *(f"{count:,}" for count in needed),
        )
    return table


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--kept", type=float, default=0.2, help="share of the pool that a person judged")
    parser.add_argument("--errors", type=float, nargs="+", default=[0.0, 0.1, 0.3], help="how often the model is wrong")
    try_collections("judging-hidden", parser, try_collection, ("k", "kept"))


if __name__ == "__main__":
    main()
