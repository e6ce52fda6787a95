"""Long texts of an index without passages: what of them goes to the reranker."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.parts import HashEncoder, schema_of

from connector.search.long_texts import MAX_CHARS, MAX_TOKENS, ChosenPassages, choose_passages, cut_long_texts
from connector.types import Hit, Passage

FILLER = "The clerk wrote down what the market sold that day, and nobody asked him why. "
KILN = "A kiln that cools too fast cracks the glaze. "


def hit(text: str, doc_id: str = "d", ordinal: int = 0) -> Hit:
    return Hit(doc_id, 1.0, (Passage(doc_id, ordinal, text),))


def texts(chosen: ChosenPassages, at: int = 0) -> list[str]:
    return [passage.text for passage in chosen.ranking[at].passages]


def test_a_short_text_stays_one_passage() -> None:
    window = (hit(KILN), hit(FILLER * 8, "e"))

    assert choose_passages("kiln", window, passages=3) == ChosenPassages(window)


def test_of_a_long_text_its_beginning_and_what_has_the_querys_words_are_sent() -> None:
    chosen = choose_passages("why do kilns crack", (hit(FILLER * 60 + KILN + FILLER * 60),), passages=2)
    first, found = texts(chosen)

    assert first.startswith("The clerk")
    assert "kiln" not in first
    assert KILN.strip() in found
    assert len(found.split()) < MAX_TOKENS


def test_no_more_passages_than_asked_for_and_the_beginning_is_always_one_of_them() -> None:
    window = (hit((FILLER * 30 + KILN) * 5),)

    assert [len(texts(choose_passages("kiln", window, passages=count))) for count in (1, 2, 4)] == [1, 2, 4]
    assert texts(choose_passages("kiln", window, passages=1))[0].startswith("The clerk")


def test_a_passage_without_any_word_of_the_query_is_not_sent() -> None:
    (sent,) = texts(choose_passages("quarry", (hit(FILLER * 200),), passages=4))

    assert sent.startswith("The clerk")


def test_a_word_that_every_passage_has_counts_less_than_a_rare_one() -> None:
    common = "The kiln, the kiln, the kiln was old. "
    text = (FILLER * 8 + common * 2) * 30 + "It was glazed in cobalt. " + (FILLER * 8 + common * 2) * 4

    assert "cobalt" in texts(choose_passages("cobalt kiln", (hit(text),), passages=2))[1]


def test_a_title_heads_each_passage() -> None:
    chosen = choose_passages("kiln", (hit("On pottery\n" + FILLER * 60 + KILN + FILLER * 60),), passages=2, titled=True)

    assert [text.count("On pottery\n") for text in texts(chosen)] == [1, 1]


def test_a_long_first_line_is_no_title() -> None:
    chosen = choose_passages("kiln", (hit(FILLER * 20 + "\n" + FILLER * 60 + KILN),), passages=2, titled=True)

    assert all(len(text) < len(FILLER) * 20 for text in texts(chosen))


@pytest.mark.parametrize("word", ["窯", "キ"])
def test_scripts_without_spaces_are_cut_and_searched_too(word: str) -> None:
    chosen = choose_passages(
        word,
        (hit("市場の人は静かに歩いた。" * 60 + f"古い{word}が冷えた。" + "市場の人は静かに歩いた。" * 60),),
        passages=2,
    )

    assert [word in text for text in texts(chosen)] == [False, True]


def test_a_passage_that_a_leg_brought_comes_before_those_that_are_cut() -> None:
    near, whole = Passage("d", 7, "near by vector"), Passage("d", 0, FILLER * 60 + KILN)
    sent = choose_passages("kiln", (Hit("d", 1.0, (near, whole)),), passages=2).ranking[0].passages

    assert sent[0] is near
    assert [passage.ordinal for passage in sent[1:]] == [0, sent[2].ordinal]


def test_what_is_not_looked_at_of_an_endless_text_is_counted() -> None:
    chosen = choose_passages("kiln", (hit(FILLER * (MAX_CHARS // len(FILLER) + 2)), hit(FILLER * 60, "e")), passages=2)

    assert chosen.shortened == 1


async def test_only_the_texts_of_an_index_without_passages_are_cut() -> None:
    window = (hit("Pottery\n" + FILLER * 60 + KILN),)
    ours = schema_of(HashEncoder())
    theirs = replace(ours, managed=False)
    cut = await cut_long_texts("kiln", window, theirs, passages=2, timeout_s=60)

    assert (await cut_long_texts("kiln", window, ours, passages=2, timeout_s=60)).ranking is window
    assert [text.startswith("Pottery\n") for text in texts(cut)] == [True, True]
    assert KILN.strip() in texts(cut)[1]


def test_what_is_sent_of_a_text_depends_on_no_other() -> None:
    window = (hit(FILLER * 60 + KILN), hit(KILN * 90, "e"))
    alone = choose_passages("kiln cracks", window[:1], passages=3).ranking

    assert choose_passages("kiln cracks", window, passages=3).ranking[:1] == alone


def test_what_there_is_no_time_to_cut_stays_whole_and_is_counted() -> None:
    window = (hit(FILLER * 60), hit(KILN, "e"))
    chosen = choose_passages("kiln", window, passages=2, until=0)

    assert (chosen.ranking, chosen.late) == (window, 1)
    assert [note for note in chosen.notes if note.startswith("of 1 long texts only the beginning")] != []
