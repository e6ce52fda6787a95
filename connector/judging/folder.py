"""A judging folder: queries, pairs to judge, runs and grades. It is a collection in BEIR's layout as well, which
`connector eval`, `gate`, `tune` and `train` take as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connector.errors import DiskError, SettingsError, SourceError
from connector.evaluation.defaults import SPLIT
from connector.evaluation.files.queries import JudgedQuery, parse_object, read_queries
from connector.evaluation.files.text_file import read_text
from connector.evaluation.statistics.measures import Run
from connector.evaluation.trec import read_run
from connector.extras import needs
from connector.judging.defaults import DEPTH, SEED
from connector.judging.grades import POLL_S, GradeLog
from connector.judging.pairs import Pair, read_pairs

LOCK = ".folder.lock"


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """The order in which pairs are asked for, how many documents of each run were pooled, and what breaks ties."""

    order: str = "depth"
    depth: int = DEPTH
    seed: int = SEED


@dataclass(frozen=True, slots=True)
class JudgingFolder:
    """Where each file of the folder is, and what it holds."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> JudgingFolder:
        """One that has queries. Raises SettingsError where it has none, and where it has judgments that would be
        lost."""
        folder = cls(path)
        if not folder.queries_file.is_file():
            raise SettingsError(
                f"{path} has no queries.jsonl; take queries out of a log with: connector judge queries LOG --out {path}"
            )
        folder.check_judgments()
        return folder

    @classmethod
    def make(cls, path: Path) -> JudgingFolder:
        """One that is there at the end, whatever it holds. Raises SettingsError where it cannot be made."""
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"cannot make the folder {path} ({error.strerror}); choose another place") from None
        return cls(path)

    def check_judgments(self) -> None:
        """Raises SettingsError where judgments are there that no grade stands behind: the first grade would write over
        them."""
        if self.qrels_file.is_file() and not self.grades_file.is_file():
            raise SettingsError(
                f"{self.qrels_file} has judgments that are no grades of this folder, and would be lost; take them in "
                f"first: connector judge import {self.qrels_file} --into {self.path}"
            )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While no other command writes a file of the folder anew from what it has read of it. Raises DiskError."""
        with needs("judge", "judging"):
            from filelock import FileLock
        lock = FileLock(self.path / LOCK, thread_local=False, poll_interval=POLL_S)
        try:
            lock.acquire()
        except OSError as error:
            raise DiskError(
                f"cannot write to {self.path} ({error.strerror}); check its permissions, or choose another place"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @property
    def queries_file(self) -> Path:
        """Each query with its text, frequency and band."""
        return self.path / "queries.jsonl"

    @property
    def pool_file(self) -> Path:
        """The pairs to judge."""
        return self.path / "pool.jsonl"

    @property
    def facts_file(self) -> Path:
        """How the pool was made."""
        return self.path / "pool.json"

    @property
    def grades_file(self) -> Path:
        """Who gave which grade: lines are only ever added to it."""
        return self.path / "grades.jsonl"

    @property
    def qrels_file(self) -> Path:
        """The judgments, made from the grades."""
        return self.path / "qrels" / f"{SPLIT}.tsv"

    def run_file(self, pipeline: str) -> Path:
        """The run of a pipeline."""
        return self.path / "runs" / f"{pipeline}.run"

    def queries(self) -> tuple[JudgedQuery, ...]:
        """With frequency, band and words among their labels. Raises SourceError."""
        return read_queries(self.queries_file).queries

    def pairs(self) -> tuple[Pair, ...]:
        """Those of the pool in their order. Raises SettingsError where there is no pool, SourceError."""
        if not self.pool_file.is_file():
            raise SettingsError(
                f"{self.path} has no pool.jsonl; make it with: connector judge pool {self.path} --pipeline lexical"
            )
        return read_pairs(self.pool_file)

    def pool_facts(self) -> PoolFacts:
        """How the pool was made; by depth, where only its pairs are there. Raises SourceError."""
        if not self.facts_file.is_file():
            return PoolFacts()
        row = parse_object(read_text(self.facts_file), str(self.facts_file), "order, depth and seed")
        try:
            return PoolFacts(str(row["order"]), int(row["depth"]), int(row["seed"]))
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{self.facts_file} does not say order, depth and seed; make the pool anew") from error

    def grades(self) -> GradeLog:
        """Who gave which grade; one that a kill has torn is repaired."""
        return GradeLog(self.grades_file)

    def runs(self) -> dict[str, Run]:
        """The pooled pipelines by name; none where nothing was pooled. Raises SourceError."""
        return {file.stem: read_run(file) for file in sorted((self.path / "runs").glob("*.run"))}
