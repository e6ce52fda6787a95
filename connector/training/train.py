"""The whole job: examples from the cluster, the teacher's scores, the training, the measure before and after, the
card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connector.errors import SourceError
from connector.evaluation.evaluate import Reporter
from connector.evaluation.files.datasets import Collection
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.searchers import open_searchers
from connector.models.files import find_model
from connector.settings.sections import ModelPlaceSettings, Settings
from connector.training.examples import Example, ExampleWriter, read_examples
from connector.training.fine_tune import fine_tune
from connector.training.mining import Miner, mine_all
from connector.training.options import Options, Workplace
from connector.training.split import FEWEST, Split
from connector.training.teachers import FileTeacher, ModelTeacher, Teacher


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training: what it is to do, on which queries of which collection, where."""

    options: Options
    collection: Collection
    split: Split
    place: Workplace
    index: str  # that the candidates come from

    @property
    def data(self) -> dict[str, Any]:
        """What identifies the queries and their judgments."""
        return {
            "collection": self.collection.name,
            "fingerprint": self.collection.fingerprint,
            "index": self.index,
            "train": len(self.split.train),
            "held back": len(self.split.held_back),
            "test": len(self.split.test),
        }


async def gather_examples(job: TrainingJob, settings: Settings, reporter: Reporter) -> dict[str, Example]:
    """The examples by query: those that the place has, and all others from the cluster, each kept as soon as it is
    found."""
    known = {example.query_id: example for example in read_examples(job.place.examples)}
    train, held_back = (
        [query for query in part if query.query_id not in known] for part in (job.split.train, job.split.held_back)
    )
    if not train and not held_back:
        return known
    reporter.begin("looking for negatives", len(train) + len(held_back))
    search = settings.search.model_copy(update={"rerank": ()})
    writer = ExampleWriter(job.place.examples)

    def keep(query: JudgedQuery, example: Example | None) -> None:
        reporter.done()
        if example:
            known[query.query_id] = example
            writer.write(example)

    try:
        async with open_searchers([settings.model_copy(update={"search": search})]) as (opened,):
            await opened.share_found(job.collection)
            miner = Miner(opened.searcher, opened.index, job.options, settings)
            await mine_all(miner, job.collection, train, for_measure=False, on_example=keep)
            await mine_all(miner, job.collection, held_back, for_measure=True, on_example=keep)
    finally:
        writer.close()
    asked = len(job.split.train) + len(job.split.held_back)
    if len(known) < asked:
        reporter.note(
            f"{asked - len(known)} of {asked} queries have no answer in the index, or nothing beside it; they are "
            "left out"
        )
    return known


def teach(job: TrainingJob, examples: Sequence[Example], teacher: Teacher, reporter: Reporter) -> list[Example]:
    """The examples with the teacher's scores; what is scored already is not scored again."""
    known = {scored.query_id: scored for scored in read_examples(job.place.scores)}
    missing = [example for example in examples if example.query_id not in known]
    reporter.begin("asking the teacher", len(missing))
    writer = ExampleWriter(job.place.scores)
    try:
        for example in missing:
            taught = teacher.teach(example)
            if taught:
                known[example.query_id] = taught
                writer.write(taught)
            reporter.done()
    finally:
        writer.close()
    unknown = sum(example.query_id not in known for example in examples)
    if unknown:
        reporter.note(
            f"the teacher lacks scores for the candidates of {unknown} of {len(examples)} queries; they are left out"
        )
    return [known[example.query_id] for example in examples if example.query_id in known]


def open_teacher(options: Options, places: ModelPlaceSettings) -> Teacher | None:
    """Finds the model, or reads the file; None where the loss needs no teacher. Raises ModelError or SourceError."""
    if options.teacher is None:
        return None
    return FileTeacher(Path(options.teacher)) if options.teacher_is_file else ModelTeacher(options.teacher, places)


async def train(job: TrainingJob, settings: Settings, reporter: Reporter) -> dict[str, Any]:
    """Train, or go on; gives what `fine_tune` gives. A training that is done is not done again.

    Raises SourceError where there is too little to learn from, and what the cluster, the models and the disk raise."""
    if job.place.is_trained:
        reporter.note(f"{job.place.folder} is trained already; measuring it")
        return job.place.trained()
    find_model(job.options.base, settings.models)
    teacher = open_teacher(job.options, settings.models)  # before minutes of looking for negatives
    examples = await gather_examples(job, settings, reporter)
    learned = [examples[query.query_id] for query in job.split.train if query.query_id in examples]
    held_back = [examples[example.query_id] for example in job.split.held_back if example.query_id in examples]
    if len(learned) < FEWEST or not held_back:
        raise SourceError(
            f"only {len(learned)} queries have an answer in the index and other candidates beside it; at least "
            f"{FEWEST} are needed"
        )
    if teacher:
        learned = teach(job, learned, teacher, reporter)
        if len(learned) < FEWEST:
            raise SourceError(
                f"the teacher has scores for all candidates of only {len(learned)} queries; at least {FEWEST} are "
                f"needed; {job.place.examples} has the candidates"
            )
    reporter.begin("training", 0)
    trained = fine_tune(job.options, learned, held_back, job.place, reporter)
    trained["left_out"] = sum(example.left_out for example in learned)
    job.place.finish(trained)
    return trained
