"""The report as a page: nothing from outside gets into its markup, nothing is fetched, every drawing says what it
shows."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from markupsafe import Markup
from support.evaluation.evaluations import collection, evaluation, ranked

from connector.evaluation.report.figures import build_figures
from connector.evaluation.report.html import build_html
from connector.evaluation.report.svg import Scale, spanning, tag

ATTACK = "</title><script>alert(1)</script><img src=x onerror='alert(2)'>\"&"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def page() -> str:
    judged = collection({"a": {ATTACK: 1}, ATTACK: {"x": 1}}, kinds={"a": ATTACK, ATTACK: "code"}, texts={"a": ATTACK})
    runs = {"first": {"a": ranked("-", ATTACK)}, "second": {"a": ranked(ATTACK), ATTACK: ranked("-", "x")}}
    done = evaluation(judged, runs, degraded={"second": {"a": ATTACK}})
    return build_html(build_figures(done))


def test_what_users_wrote_is_text(page: str) -> None:
    assert "&lt;script&gt;" in page
    for markup in ("<script", "<img", "alert(2)'>", "</title><"):
        assert markup not in page.replace("</title></path>", "").replace("</title></rect>", "").replace(
            "</title><desc>", ""
        )


def test_nothing_is_fetched(page: str) -> None:
    assert "default-src 'none'" in page
    for reference in ("http://", "https://", 'src="', "@import", "url("):
        assert reference not in page


def test_drawings_are_well_formed_and_say_what_they_show(page: str) -> None:
    pieces = ["<svg" + drawing.split("</svg>")[0] + "</svg>" for drawing in page.split("<svg")[1:]]
    plots = [root for root in map(ElementTree.fromstring, pieces) if root.get("class") == "plot"]

    assert len(plots) == 2 * 5  # recall, frontier, gains, kind, length; for a wide window and for a phone
    for root in plots:
        assert root.get("role") == "img"
        assert root.findtext("title")
        assert root.findtext("desc")


def test_every_table_has_a_caption_and_heads(page: str) -> None:
    tables = page.split("<table")[1:]

    assert len(tables) >= 6
    assert all("<caption>" in table and 'scope="col"' in table and 'scope="row"' in table for table in tables)


def test_what_was_degraded_is_on_the_page(page: str) -> None:
    assert "<b>second</b>: 0 queries failed and count 0, 1 were degraded" in " ".join(page.split())


def test_one_pipeline_alone_has_a_report_too() -> None:
    page = build_html(build_figures(evaluation(collection({"a": {"x": 1}}), {"only": {"a": ranked("x")}})))

    assert "Against" not in page
    assert "Recall by cutoff" in page


def test_a_run_without_any_answer_has_a_report_too(tmp_path: Path) -> None:
    page = build_html(
        build_figures(evaluation(collection({"a": {"x": 1}}), {"one": {}, "two": {}}, took_ms={"one": 0.0, "two": 0.0}))
    )

    assert "0.000" in page


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 1, 0, 100), [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (Scale(0, 152, 0, 100), [0, 50, 100, 150]),
        (Scale(3, 700, 0, 100, log=True), [5, 10, 20, 50, 100, 200, 500]),
    ],
)
def test_ticks_are_round_numbers_within_the_scale(scale: Scale, ticks: list[float]) -> None:
    assert scale.ticks() == pytest.approx(ticks)


def test_scales_map_ends_to_ends() -> None:
    assert Scale(1, 100, 0, 200, log=True)(10) == pytest.approx(100)
    assert Scale(0, 1, 300, 0)(0.25) == pytest.approx(225)
    assert spanning([5.0, 5.0], 0, 10).low < 5 < spanning([5.0, 5.0], 0, 10).high
    assert spanning([], 0, 10).ticks()


def test_a_tag_escapes_what_is_not_markup() -> None:
    assert tag("a", "<b>", class_='"x"', stroke_width=2.0) == '<a class="&#34;x&#34;" stroke-width="2.0">&lt;b&gt;</a>'
    assert tag("a", Markup("<b/>")) == "<a><b/></a>"
