"""What counts as late when settings are timed."""

from __future__ import annotations

from connector.evaluation.runs import Answer, Answers
from connector.tuning.timing import Option, _timing
from connector.types import Degradation


def test_what_an_index_lacks_makes_no_search_late() -> None:
    wordless = Degradation("local", "2 documents of the window have no text to rerank", lasting=True)
    late = Degradation("local", "no answer within 9.50 s")
    given = [(), (wordless,), (wordless, late), (late,)]
    answers = Answers(tuple(Answer("q", {}, {"total": 5.0}, degraded) for degraded in given))

    assert _timing(Option(20, 10), "helpful", answers).late == 0.5
