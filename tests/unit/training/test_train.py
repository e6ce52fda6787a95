"""A teacher's scores: asked for once, kept, and missed where the teacher has none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from connector.errors import SourceError
from connector.evaluation.evaluate import Reporter
from connector.evaluation.files.datasets import Collection
from connector.evaluation.files.queries import JudgedQuery
from connector.settings.sections import Settings
from connector.training.examples import Candidate, Example, ExampleWriter
from connector.training.options import Options, Workplace
from connector.training.split import FEWEST, Split
from connector.training.teachers import FileTeacher
from connector.training.train import TrainingJob, teach, train

QUERIES = tuple(JudgedQuery(f"q{number}", f"query {number}") for number in range(FEWEST + 1))
EXAMPLES = [
    Example(query.query_id, query.text, (Candidate("p", "an answer", 1),), (Candidate("n", "another", 0),))
    for query in QUERIES
]


def write_scores(file: Path, examples: Sequence[Example], score: float) -> Path:
    rows = [
        {"query_id": example.query_id, "doc_id": candidate.doc_id, "score": score}
        for example in examples
        for candidate in example.candidates
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def open_job(folder: Path, scores: Path, base: Path) -> TrainingJob:
    """A training whose examples have been found."""
    collection = Collection("some", QUERIES, {query.query_id: {"p": 1} for query in QUERIES})
    options = Options(str(base), "cross-encoder", "distill", teacher=str(scores), teacher_is_file=True)
    job = TrainingJob(options, collection, Split(QUERIES[:-1], QUERIES[-1:], ()), Workplace(folder), "some")
    job.place.open(options, job.data)
    writer = ExampleWriter(job.place.examples)
    for example in EXAMPLES:
        writer.write(example)
    writer.close()
    return job


def test_only_what_has_no_score_yet_is_asked_for(tmp_path: Path) -> None:
    job = open_job(tmp_path / "out", tmp_path / "scores.jsonl", tmp_path)
    notes: list[str] = []
    first = FileTeacher(write_scores(tmp_path / "first.jsonl", EXAMPLES[:3], 1.0))
    second = FileTeacher(write_scores(tmp_path / "second.jsonl", EXAMPLES[:5], 2.0))

    few = teach(job, EXAMPLES, first, Reporter(note=notes.append))
    more = teach(job, EXAMPLES, second, Reporter(note=notes.append))

    assert [example.query_id for example in few] == ["q0", "q1", "q2"]
    assert [{candidate.score for candidate in example.candidates} for example in more] == [{1.0}] * 3 + [{2.0}] * 2
    assert [note.partition(" queries;")[0] for note in notes] == [
        f"the teacher lacks scores for the candidates of {lacking} of {len(EXAMPLES)}" for lacking in (18, 16)
    ]


async def test_a_teacher_that_lacks_most_scores_is_refused(tmp_path: Path, tiny_cross_encoder_folder: Path) -> None:
    scores = write_scores(tmp_path / "scores.jsonl", EXAMPLES[:-2], 1.0)
    job = open_job(tmp_path / "out", scores, tiny_cross_encoder_folder)

    with pytest.raises(SourceError, match=rf"all candidates of only {FEWEST - 1} queries; at least {FEWEST} are"):
        await train(job, Settings(), Reporter())
