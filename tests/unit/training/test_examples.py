"""What a reranker learns from: splits, negatives that are sure, rows for each loss, a file that survives a kill."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import ModelError, SettingsError, SourceError
from connector.evaluation.files.datasets import Collection
from connector.evaluation.files.queries import JudgedQuery
from connector.settings.sections import ModelPlaceSettings
from connector.training.examples import Candidate, Example, ExampleWriter, read_examples
from connector.training.fine_tune import AT_ONCE, last_checkpoint, parts_of_step
from connector.training.losses import build_rows
from connector.training.mining import draw, sure_negatives
from connector.training.options import LOSSES, TAUGHT, Options, Workplace
from connector.training.split import part_queries, split_queries
from connector.training.teachers import FileTeacher, ModelTeacher
from connector.types import Explanation, LegExplanation, SearchHit


def options(loss: str = "listwise", kind: str = "cross-encoder", **more: object) -> Options:
    taught = {"teacher": "a teacher"} if loss in TAUGHT else {}
    return Options(base="base", kind=kind, loss=loss, **{"negatives": 2} | taught | more)  # type: ignore[arg-type]


def collection(count: int) -> Collection:
    queries = tuple(JudgedQuery(f"q{number}", f"query {number}") for number in range(count))
    return Collection("some", queries, {query.query_id: {"d": 1} for query in queries})


def example(query_id: str = "q", *, positives: int = 1, negatives: int = 3, scored: bool = True) -> Example:
    def candidate(name: str, grade: int, score: float) -> Candidate:
        return Candidate(name, f"text of {name}", grade, score if scored else None)

    return Example(
        query_id,
        "what is it",
        tuple(candidate(f"p{at}", 2, 0.8 - at / 10) for at in range(positives)),
        tuple(candidate(f"n{at}", 0, 0.4 - at / 10) for at in range(negatives)),
        left_out=1,
    )


def hit(doc_id: str, cosine: float | None, **others: float) -> SearchHit:
    cosines = others if cosine is None else {"dense": cosine, **others}
    legs = {name: LegExplanation(1, score) for name, score in cosines.items()}
    return SearchHit(doc_id, 1.0, 1, "fused", {}, None, Explanation(legs))


def test_every_query_is_in_one_part_and_in_the_same_every_time() -> None:
    parts = split_queries(collection(100), test_share=0.2, held_back=0.1, seed=3)
    again = split_queries(collection(100), test_share=0.2, held_back=0.1, seed=3)
    other = split_queries(collection(100), test_share=0.2, held_back=0.1, seed=4)

    assert [len(part) for part in (parts.train, parts.held_back, parts.test)] == [72, 8, 20]
    assert len({query.query_id for part in (parts.train, parts.held_back, parts.test) for query in part}) == 100
    assert parts == again != other


def test_too_few_queries_are_refused() -> None:
    with pytest.raises(SourceError, match="at least 20 are needed"):
        split_queries(collection(25), test_share=0.2, held_back=0.1, seed=3)


def test_nothing_is_learned_from_queries_that_are_measured_on_whatever_their_ids() -> None:
    tested = replace(collection(3), name="others", queries=tuple(JudgedQuery(f"t{at}", f"query {at}") for at in (1, 3)))
    notes: list[str] = []
    parted = part_queries(collection(100), tested, test_share=0.2, held_back=0.1, seed=3, note=notes.append)
    learned = {query.query_id for query in (*parted.split.train, *parted.split.held_back)}

    assert (parted.unseen, parted.split.test) == (tested, ())
    assert notes == ["2 queries are also in others; they are not learned from"]
    assert len(learned) == len(parted.collection.queries) == 98
    assert learned & {"q1", "q3"} == set()


def test_without_other_queries_a_share_is_kept_to_measure_on() -> None:
    notes: list[str] = []
    parted = part_queries(collection(100), None, test_share=0.2, held_back=0.1, seed=3, note=notes.append)
    nothing_kept = part_queries(collection(100), None, test_share=0, held_back=0.1, seed=3, note=notes.append)

    assert parted.split == split_queries(collection(100), test_share=0.2, held_back=0.1, seed=3)
    assert parted.unseen
    assert (parted.unseen.queries, notes) == (parted.split.test, [])
    assert nothing_kept.unseen is None


def test_what_is_as_near_as_an_answer_is_no_sure_negative() -> None:
    hits = [hit("answer", 0.8), hit("twin", 0.79), hit("other", 0.7), hit("of words", None)]

    kept = sure_negatives(hits, hits[1:], {"answer": 1}, dense=["dense"], max_share=0.95)

    assert [negative.doc_id for negative in kept] == ["other", "of words"]


def test_every_dense_leg_tells_what_is_as_near_as_an_answer() -> None:
    hits = [hit("answer", None, titles=0.8), hit("twin", 0.5, titles=0.79), hit("words", 0.5, lexical=9.0)]

    kept = sure_negatives(hits, hits[1:], {"answer": 1}, dense=["dense", "titles"], max_share=0.95)

    assert [negative.doc_id for negative in kept] == ["words"]


def test_where_the_dense_leg_found_no_answer_all_candidates_stay() -> None:
    hits = [hit("answer", None), hit("near", 0.79)]

    kept = sure_negatives(hits, hits[1:], {"answer": 1}, dense=["dense"], max_share=0.95)

    assert [negative.doc_id for negative in kept] == ["near"]


def test_documents_that_were_judged_to_be_no_answer_come_first() -> None:
    hits = [hit(f"d{number}", 0.1) for number in range(20)]

    drawn = draw(hits, {"d7": 0, "d19": 0}, 5, random.Random(1))

    assert {negative.doc_id for negative in drawn[:2]} == {"d7", "d19"}
    assert len({negative.doc_id for negative in drawn}) == 5
    assert drawn == draw(hits, {"d7": 0, "d19": 0}, 5, random.Random(1))


def test_a_line_that_was_cut_off_is_found_again_and_goes(tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    writer = ExampleWriter(file)
    writer.write(example("one"))
    writer.write(example("two"))
    writer.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])

    assert [kept.query_id for kept in read_examples(file)] == ["one"]

    writer = ExampleWriter(file)
    writer.write(example("two"))
    writer.close()
    assert file.read_bytes() == whole
    assert list(read_examples(file)) == [example("one"), example("two")]


def test_there_are_no_examples_yet(tmp_path: Path) -> None:
    assert list(read_examples(tmp_path / "examples.jsonl")) == []


@pytest.mark.parametrize(("kind", "loss"), [(kind, loss) for kind, losses in LOSSES.items() for loss in losses])
def test_every_loss_has_rows_of_equal_length(kind: str, loss: str) -> None:
    rows = build_rows([example("a"), example("b", positives=2)], options(loss, kind))

    assert len({len(column) for column in rows.values()}) == 1
    assert next(iter(rows)) == "query"


def test_listwise_rows_of_a_cross_encoder_have_all_candidates_with_their_grades() -> None:
    rows = build_rows([example(positives=2)], options())

    assert rows["labels"] == [[2.0, 2.0, 0.0, 0.0, 0.0]]
    assert rows["docs"][0][0] == "text of p0"


def test_a_row_for_every_answer_with_the_negatives_that_were_asked_for() -> None:
    rows = build_rows([example(positives=2)], options("contrastive", "late-interaction"))

    assert list(rows) == ["query", "positive", "negative_1", "negative_2"]
    assert rows["positive"] == ["text of p0", "text of p1"]


def test_examples_with_too_few_negatives_are_left_out() -> None:
    rows = build_rows([example(), example("b", negatives=1)], options("contrastive", "late-interaction"))

    assert len(rows["query"]) == 1
    with pytest.raises(SourceError, match="lower --negatives"):
        build_rows([example(negatives=1)], options("contrastive", "late-interaction"))


@given(st.floats(0.001, 1_000), st.floats(-50, 50))
def test_a_teachers_scale_makes_no_difference(factor: float, shift: float) -> None:
    first = example(positives=1, negatives=2)
    other = first.scored([factor * (candidate.score or 0) + shift for candidate in first.candidates])

    (labels,) = build_rows([first], options("margin-mse"))["label"]
    (moved,) = build_rows([other], options("margin-mse"))["label"]

    assert labels[0] - labels[1] == pytest.approx(moved[0] - moved[1], rel=1e-3)


def test_a_teacher_without_an_opinion_is_refused() -> None:
    same = example().scored([0.5] * 4)

    with pytest.raises(SourceError, match="the same score"):
        build_rows([same], options("distill"))


def test_scores_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    known = [
        {"query_id": "q", "doc_id": candidate.doc_id, "score": at} for at, candidate in enumerate(example().candidates)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in known))
    teacher = FileTeacher(file)

    taught = teacher.teach(example(scored=False))

    assert taught
    assert [candidate.score for candidate in taught.candidates] == [0, 1, 2, 3]
    assert teacher.teach(example("another", scored=False)) is None


def test_a_file_that_holds_no_scores_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.jsonl").write_text('{"query_id": "q", "doc_id": "d"}\n')

    with pytest.raises(SourceError, match=r"scores.jsonl:1 is no score"):
        FileTeacher(tmp_path / "scores.jsonl")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"query_id": "1", "doc_id": "d"}', "is no score; it needs query_id, doc_id and a number"),
        ('{"query_id": "1", "doc_id": "d", "score": true}', "is no score; it needs"),
        ('{"query_id": "1", "doc_id": "d", "score": NaN}', "nan is no number that can be learned from"),
        ('{"query_id": "1", "doc_id": "d", "score": 0.25}', "another score for query '1' than line 1"),
        ("0.5", "is no JSON object"),
    ],
)
def test_a_line_of_a_teacher_that_is_no_score_is_named(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "scores.jsonl").write_text('{"query_id": 1, "doc_id": "d", "score": 0.5}\n\n' + line)

    with pytest.raises(SourceError, match=re.escape(says)) as raised:
        FileTeacher(tmp_path / "scores.jsonl")
    assert "scores.jsonl:3 " in str(raised.value)


def test_a_teacher_that_tells_kinds_apart_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    config = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "no", "1": "perhaps", "2": "yes"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").touch()

    with pytest.raises(ModelError, match="is a classifier of 3 labels; a reranker has one"):
        ModelTeacher(str(tmp_path), ModelPlaceSettings())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_teachers_file_may_have_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    rows = [
        {"query_id": "q", "doc_id": candidate.doc_id, "score": at}
        for at, candidate in enumerate(example(scored=False).candidates)
    ]
    (tmp_path / "scores.jsonl").write_text("\n\n".join(map(json.dumps, [*rows, rows[0]])), encoding=encoding)
    taught = FileTeacher(tmp_path / "scores.jsonl").teach(example(scored=False))

    assert taught is not None
    assert [candidate.score for candidate in taught.candidates] == [row["score"] for row in rows]


def test_losses_that_need_a_teacher_say_so() -> None:
    with pytest.raises(SettingsError, match="--teacher"):
        Options(base="base", kind="cross-encoder", loss="margin-mse")
    with pytest.raises(SettingsError, match="learns by listwise, contrastive"):
        Options(base="base", kind="late-interaction", loss="binary")
    with pytest.raises(SettingsError, match="would ask no teacher: give --loss margin-mse or distill"):
        options("listwise", teacher="a teacher")


@given(st.integers(1, 64), st.integers(1, 40))
def test_a_step_is_cut_into_equal_parts_that_fit(batch_size: int, negatives: int) -> None:
    parts = parts_of_step(options(batch_size=batch_size, negatives=negatives))

    assert batch_size % parts == 0
    assert batch_size // parts == 1 or batch_size // parts * (negatives + 1) <= AT_ONCE


def test_the_same_training_goes_on_and_another_one_is_refused(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "model")
    place.open(options(), {"fingerprint": "a"})
    place.examples.write_text("kept")

    place.open(options(), {"fingerprint": "a"})
    assert place.examples.read_text() == "kept"
    with pytest.raises(SettingsError, match=r"another training \(other: loss, fingerprint\)"):
        place.open(options("binary"), {"fingerprint": "b"})
    place.open(options("binary"), {"fingerprint": "b"}, restart=True)
    assert not place.examples.exists()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "mine.txt").write_text("mine")

    for restart in (False, True):
        with pytest.raises(SettingsError, match="is not empty"):
            Workplace(tmp_path).open(options(), {}, restart=restart)
    assert (tmp_path / "training" / "mine.txt").exists()


def test_a_checkpoint_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    for name in ("checkpoint-5", "checkpoint-10", "checkpoint-100"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-5" / "trainer_state.json").write_text("{}")
    (tmp_path / "checkpoint-10" / "trainer_state.json").write_text("{}")

    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert last_checkpoint(tmp_path / "nowhere") is None
