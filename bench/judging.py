"""How many grades each way of choosing pairs needs until the pipelines are in the order of the full judgments.

    make bench-judging DATA="FOLDER FOLDER:150:2400"      # BEIR-layout folders or seeded parts of them
    make bench-judging DATA=FOLDER ARGS="--tries 3 -k 10"

The pipelines run through the real path on an embedded store. Each try takes half of the queries by lot. A judge who
knows the collection's judgments then grades one pair after the other, as each way asks for them. Two orders are the
same where all pairs of pipelines are that differ by more than --tie in the full judgments. What counts is the number of
grades after which the order stays: as `connector eval` would measure it, and as it is expected from the grades so
far."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from machine import print_result
from numpy.typing import NDArray
from parts import part_of
from quality import STORE, ingest, settings_for
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connector.errors import ConnectorError
from connector.evaluation.files.datasets import Collection, read_collection
from connector.evaluation.files.judgments import Qrels
from connector.evaluation.pipelines import Pipeline, plan
from connector.evaluation.statistics.measures import Run, mean, measure
from connector.judging.pairs import PairKey
from connector.judging.pooling.decide import Decide
from connector.judging.pooling.depth import pool_keys
from connector.judging.pooling.next_pairs import ORDERS, JudgingOrder, NextPairs
from connector.judging.pooling.runs import run_pipelines
from connector.settings.sections import Settings

# from near to each other to far apart
PIPELINES = (
    Pipeline("lexical", "lexical", {"search.rerank": "off"}),
    Pipeline("dense", "dense", {"search.rerank": "off"}),
    Pipeline("fused", "fused", {"search.rerank": "off"}),
    Pipeline("fused-linear", "fused", {"search.rerank": "off", "search.fusion.kind": "linear"}),
    Pipeline("fused-lexical", "fused", {"search.rerank": "off", "search.legs.lexical.weight": 4.0}),
)
console = Console(stderr=True, highlight=False, markup=False)
HOW = ("measured", "expected")
LOOK_EVERY = 5  # grades, at what is expected
_Values = NDArray[np.float64]  # [pipelines, queries]


@dataclass(frozen=True, slots=True)
class Trial:
    """The runs of a collection, and the nDCG of each pipeline by all judgments."""

    name: str
    collection: Collection
    runs: Mapping[str, Run]
    k: int
    tie: float

    @property
    def measure(self) -> str:
        return f"nDCG@{self.k}"

    @property
    def highest(self) -> int:
        return self.collection.highest_grade

    def named(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
        names = [*self.runs]
        return [(names[better], names[worse]) for better, worse in pairs]

    def values(self, qrels: Qrels, query_ids: Sequence[str]) -> _Values:
        """nDCG of each pipeline and query by these judgments."""
        judged = {query_id: qrels.get(query_id) or {"": 0} for query_id in query_ids}
        found = [measure(run, judged, [self.measure])[self.measure] for run in self.runs.values()]
        return np.array([[values[query_id] for query_id in query_ids] for values in found])

    @property
    def keys(self) -> list[PairKey]:
        return pool_keys(self.runs.values(), self.k)

    def part(self, seed: int) -> Trial:
        """Half of the queries, by lot: what holds for one set of queries only is chance."""
        queries = self.collection.queries
        some = random.Random(seed).sample(queries, max(len(queries) // 2, 1))
        runs = {name: {query.query_id: run[query.query_id] for query in some} for name, run in self.runs.items()}
        return replace(self, collection=self.collection.only(some), runs=runs)

    def full(self) -> dict[str, float]:
        return {
            name: mean(measure(run, self.collection.qrels, [self.measure])[self.measure])
            for name, run in self.runs.items()
        }

    def told_apart(self) -> list[tuple[int, int]]:
        """The pairs of pipelines, the better one first, that differ by more than a tie."""
        means = [*self.full().values()]
        return [
            (left, right) if means[left] > means[right] else (right, left)
            for left, right in combinations(range(len(means)), 2)
            if abs(means[left] - means[right]) > self.tie
        ]


@dataclass(frozen=True, slots=True)
class Needed:
    """After how many grades the order stays right: as `connector eval` measures it, where ungraded documents count as
    not relevant, and as `NextPairs.expect` expects it."""

    measured: int
    expected: int


def grades_needed(trial: Trial, order: JudgingOrder, seed: int) -> Needed:
    keys = trial.keys
    asked = NextPairs(keys, trial.runs, order, depth=trial.k, seed=seed, highest=trial.highest)
    decide = Decide(keys, trial.runs, depth=trial.k, seed=seed, highest=trial.highest)
    query_ids = sorted({query_id for query_id, _ in keys})
    at = {query_id: place for place, query_id in enumerate(query_ids)}
    qrels: dict[str, dict[str, int]] = {query_id: {} for query_id in query_ids}
    values, pairs = trial.values(qrels, query_ids), trial.told_apart()
    names = {(names[0], names[1]) for names in trial.named(pairs)}
    measured = expected = 0  # the last time that it was wrong
    for count in range(1, len(keys) + 1):
        ((query_id, doc_id),) = asked.next()
        grade = max(trial.collection.qrels[query_id].get(doc_id, 0), 0)
        qrels[query_id][doc_id] = grade
        asked.tell(query_id, doc_id, grade)
        decide.tell((query_id, doc_id), grade)
        if grade > 0:
            values[:, at[query_id]] = trial.values(qrels, [query_id])[:, 0]
        means = values.mean(axis=1)
        if not all(means[better] > means[worse] for better, worse in pairs):
            measured = count
        if not count % LOOK_EVERY and not names <= {
            (difference.ahead, difference.behind) for difference in decide.differences()
        }:
            expected = count
    return Needed(min(measured + 1, len(keys)), min(expected + LOOK_EVERY, len(keys)))


def try_collection(given: str, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one collection, printed as a table too."""
    folder = part_of(given)
    collection = read_collection(folder)
    ingest(folder, settings_for(folder, options.cluster, options.set))

    runs = run_here(collection, folder, options)
    trial = Trial(given.rstrip("/").rpartition("/")[2], collection, runs, options.k, options.tie)
    parts = [trial.part(seed) for seed in range(options.tries)]
    needed = {order: [grades_needed(part, order, seed) for seed, part in enumerate(parts)] for order in ORDERS}
    counts = {
        f"{order}, {how}": [getattr(needs, how) for needs in tries] for order, tries in needed.items() for how in HOW
    }
    result = {
        "collection": trial.name,
        "queries": len(collection.queries),
        "pool": median(len(part.keys) for part in parts),
        "full": {name: round(value, 4) for name, value in trial.full().items()},
        "pairs_told_apart": [len(part.told_apart()) for part in parts],
        "grades": counts,
    }
    Console().print(_table(result))
    return result


def _table(result: Mapping[str, Any]) -> Table:
    title = (
        f"{result['collection']}: {result['queries']} queries, of half of them a pool of {result['pool']:,.0f} pairs"
    )
    table = Table(
        "order, and how it is read",
        "grades until the order stays",
        "from",
        "to",
        "of the pool",
        title=Text(title),  # a name with :100: in it is no emoji
        show_edge=False,
    )
    for order, counts in result["grades"].items():
        middle = median(counts)
        share = f"{middle / result['pool']:.0%}"
        table.add_row(order, f"{middle:,.0f}", f"{min(counts):,}", f"{max(counts):,}", share)
    return table


def run_here(collection: Collection, folder: Path, options: argparse.Namespace) -> Mapping[str, Run]:
    """The run of each pipeline over the folder's index."""

    def settings_with(own: Mapping[str, Any]) -> Settings:
        given = [f"{path}={value}" for path, value in own.items()]
        return settings_for(folder, options.cluster, [*options.set, *given])

    return asyncio.run(run_pipelines(collection.queries, plan(PIPELINES, settings_with))).runs


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """With what every bench of judging takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="BEIR-layout folders, or parts: FOLDER:QUERIES:DOCUMENTS")
    parser.add_argument("--cluster", default=STORE)
    parser.add_argument("-k", type=int, default=10, help="documents of each pipeline that are pooled")
    parser.add_argument("--tie", type=float, default=0.005, help="pipelines nearer to each other are not told apart")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="any setting")
    return parser


def try_collections(
    bench: str,
    parser: argparse.ArgumentParser,
    try_collection: Callable[[str, argparse.Namespace], dict[str, Any]],
    facts: Sequence[str],
) -> None:
    """Run a bench on each collection and print its result, with these of its arguments."""
    options = parser.parse_args()
    try:
        results = [try_collection(given, options) for given in options.data]
    except ConnectorError as error:
        sys.exit(f"error: {error}")
    print_result({"bench": bench} | {name: getattr(options, name) for name in facts} | {"collections": results})


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--tries", type=int, default=10, help="how many halves of the queries each way is tried on")
    try_collections("judging", parser, try_collection, ("k", "tie"))


if __name__ == "__main__":
    main()
