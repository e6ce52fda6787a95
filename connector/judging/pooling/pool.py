"""Runs -> the pairs to judge: the first documents of every run of the folder, in the order in which their grades are
wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from connector.errors import DiskError, SettingsError
from connector.evaluation.statistics.measures import Run
from connector.evaluation.trec import write_run
from connector.judging.defaults import DEPTH, SEED
from connector.judging.folder import JudgingFolder, PoolFacts
from connector.judging.pairs import Pair, PairKey, read_pairs, write_pairs
from connector.judging.pooling.decide import ExpectedDifference
from connector.judging.pooling.depth import pool_keys
from connector.judging.pooling.next_pairs import JudgingOrder, NextPairs
from connector.judging.resolve import resolve
from connector.whole_file import write_whole

_Contents = Mapping[PairKey, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Pooling:
    """How runs are pooled: the first `depth` documents of each, to be judged in an order. `fields` are what is shown of
    a document; none: the index's text fields."""

    depth: int = DEPTH
    order: JudgingOrder = "depth"
    seed: int = SEED
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """The pairs in their order, those that have a grade last. `new` are those that an earlier pool did not have,
    `graded` those that nobody will be asked for again, `not_found` those whose document no index has, so that nothing
    can be shown of it. `expected`: which pipeline is ahead, by the grades so far."""

    pairs: tuple[Pair, ...]
    new: int
    graded: int
    not_found: int
    depth: int
    expected: tuple[ExpectedDifference, ...] = ()

    def shares(self, runs: Mapping[str, Run]) -> Iterator[tuple[str, int, int, int]]:
        """Of each run: its name, how many queries it answers, how many pairs it pools, and how many no other does."""
        pooled = {name: set(pool_keys([run], self.depth)) for name, run in runs.items()}
        for name, run in runs.items():
            others = set().union(*(keys for other, keys in pooled.items() if other != name))
            yield name, sum(map(bool, run.values())), len(pooled[name]), len(pooled[name] - others)

    @property
    def left(self) -> int:
        """How many pairs have no grade."""
        return len(self.pairs) - self.graded


def make_pool(folder: JudgingFolder, pooling: Pooling, contents: _Contents) -> Pool:
    """Pool all runs of the folder, and write its pairs. `contents` has the fields of pairs; those of an earlier pool
    keep theirs where they are not in it, and a pair with a grade stays.

    Raises SettingsError where there are no runs, SourceError, DiskError."""
    runs = folder.runs()
    if not runs:
        raise SettingsError(f"{folder.path} has no runs to pool; name pipelines: --pipeline lexical --pipeline fused")
    before = {pair.key: pair for pair in read_pairs(folder.pool_file)} if folder.pool_file.is_file() else {}
    grades = {
        (resolved.query_id, resolved.doc_id): resolved.grade for resolved in resolve(folder.grades().read()).grades
    }
    pooled = pool_keys(runs.values(), pooling.depth)
    keys = list(dict.fromkeys([*pooled, *(key for key in before if key in grades)]))
    chooser = NextPairs(keys, runs, pooling.order, depth=pooling.depth, seed=pooling.seed)
    for (query_id, doc_id), grade in grades.items():
        chooser.tell(query_id, doc_id, grade)
    # those without a grade as they would be asked for if each were found not relevant
    pairs = [*chooser.next(len(keys)), *(key for key in keys if key in grades)]
    fields = {key: pair.fields for key, pair in before.items()} | dict(contents)
    write_pairs(folder.pool_file, made := [Pair(*key, order, fields.get(key, {})) for order, key in enumerate(pairs)])
    _write_facts(folder, PoolFacts(pooling.order, pooling.depth, pooling.seed))
    return Pool(
        pairs=tuple(made),
        new=sum(key not in before for key in keys),
        graded=sum(key in grades for key in keys),
        not_found=sum(not pair.fields for pair in made),
        depth=pooling.depth,
        expected=chooser.expect(),
    )


def write_runs(folder: JudgingFolder, runs: Mapping[str, Run]) -> None:
    """In the place of those with the same names. Raises DiskError."""
    try:
        (folder.path / "runs").mkdir(exist_ok=True)
    except OSError as error:
        raise DiskError(f"cannot make {folder.path / 'runs'} ({error.strerror}); choose another place") from None
    for name, run in runs.items():
        write_run(folder.run_file(name), run, name)


def _write_facts(folder: JudgingFolder, facts: PoolFacts) -> None:
    try:
        write_whole(folder.facts_file, json.dumps(asdict(facts)) + "\n")
    except OSError as error:
        raise DiskError(f"cannot write {folder.facts_file} ({error.strerror}); choose another place") from None
