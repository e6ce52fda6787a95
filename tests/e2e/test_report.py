"""The report as a person sees it: in a real browser, light and dark, wide and narrow."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from support.evaluation.evaluations import collection, evaluation, ranked
from support.servers.browser import Page

from connector.evaluation.report.figures import build_figures
from connector.evaluation.report.html import write_html

NAMES = ("lexical", "dense", "fused", "reranked")
ATTACK = "<script>document.title = 'broken into'</script><img src=x onerror=alert(1)>"
# drawings that are too small to be read, empty, or have marks outside
INVISIBLE = """[...document.querySelectorAll('svg.plot')].filter(plot => plot.checkVisibility()).filter(plot => {
    const box = plot.getBoundingClientRect();
    const marks = [...plot.querySelectorAll('.mark, .line, rect')].map(one => one.getBoundingClientRect());
    const inside = marks.every(one => one.left >= box.left - 1 && one.right <= box.right + 1
                                      && one.top >= box.top - 1 && one.bottom <= box.bottom + 1);
    const texts = [...plot.querySelectorAll('text')].map(one => one.getBoundingClientRect().height);
    const fits = box.left >= 0 && box.right <= innerWidth && box.width > Math.min(600, innerWidth - 60);
    return !fits || box.height < 60 || !marks.length || !inside || Math.min(...texts) < 8;
}).map(plot => plot.querySelector('title').textContent)"""
# what reaches beyond the window, or hides part of itself
PLOTS = "[...document.querySelectorAll('svg.plot')].filter(one => one.checkVisibility())"
CUT_OFF = """[...document.querySelectorAll('main *')].filter(one => one.checkVisibility() && !one.closest('svg'))
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1 || one.scrollWidth > one.clientWidth + 1
                   && getComputedStyle(one).display != 'inline').map(one => one.outerHTML.slice(0, 80))"""
CONTRAST = """(() => {
    const light = colour => {
        const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(one => one / 255)
            .map(one => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (one, two) => (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    const back = light(getComputedStyle(document.body).backgroundColor);
    const panel = light(getComputedStyle(document.querySelector('svg.plot')).backgroundColor);
    const words = ratio(light(getComputedStyle(document.body).color), back);
    const marks = [...document.querySelectorAll('svg.plot .mark')].filter(one => one.checkVisibility())
        .map(one => ratio(light(getComputedStyle(one).fill), panel));
    return [words, Math.min(...marks)];
})()"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def report(tmp_path: Path) -> str:
    """The report of 60 queries through four pipelines; some of them, and of their documents, are an attack."""
    dice = random.Random(2)
    ids = [f"q{at}" for at in range(59)] + [ATTACK]
    kinds = {query_id: dice.choice(["code", "question", "negation", ATTACK]) for query_id in ids}
    judged = collection(
        {query_id: {"x": 3, "y": 1, ATTACK: 0} for query_id in ids}, kinds=kinds, texts=dict.fromkeys(ids, ATTACK)
    )
    runs = {
        name: {query_id: ranked(*dice.sample(["x", "y", ATTACK, "u", "v", "w"], 6)) for query_id in ids}
        for name in NAMES
    }
    took = {"lexical": 8.0, "dense": 9.0, "fused": 11.0, "reranked": 300.0}
    done = evaluation(judged, runs, took_ms=took, degraded={"reranked": {"q1": ATTACK}})
    write_html(tmp_path / "report.html", build_figures(done))
    return (tmp_path / "report.html").as_uri()


async def test_the_report_is_whole_in_a_real_browser(tab: Page, report: str) -> None:
    backgrounds = set()
    keep = os.environ.get("TEST_SCREENSHOTS")
    await tab.open(report)
    for theme in ("light", "dark"):
        for width in (1100, 390):
            await tab.look(theme=theme, width=width)
            words, marks = await tab.evaluate(CONTRAST)

            assert await tab.evaluate(f"{PLOTS}.length") == 7
            assert await tab.evaluate(INVISIBLE) == []
            assert await tab.evaluate(CUT_OFF) == []
            assert await tab.evaluate("document.documentElement.scrollWidth") <= width
            assert words >= 7  # WCAG AAA for text
            assert marks >= 3  # WCAG 1.4.11 for what is drawn
            backgrounds.add(await tab.evaluate("getComputedStyle(document.body).backgroundColor"))
            if keep:
                await tab.photograph(Path(keep) / f"{theme}-{width}.png")

    assert len(backgrounds) == 2
    assert await tab.evaluate("document.title") == "made: evaluation of 4 pipelines"
    assert await tab.evaluate("document.querySelectorAll('script, img').length") == 0
    assert {url for url in tab.asked if not url.startswith("data:")} == {report}
    assert tab.messages == []


async def test_the_verdict_is_the_first_sentence(tab: Page, report: str) -> None:
    await tab.open(report, width=390)
    verdict = await tab.evaluate("document.querySelector('.verdict').innerText")
    place = await tab.evaluate("document.querySelector('.verdict').getBoundingClientRect().bottom")

    assert "by nDCG@10" in verdict
    assert verdict.count(".") - verdict.count("0.") - verdict.count(",") < 3
    assert place < 400  # seen without scrolling


async def test_winners_open_with_both_rankings(tab: Page, report: str) -> None:
    await tab.open(report)
    rankings = await tab.evaluate(
        "(() => { const one = document.querySelector('#gains ~ details'); one.open = true;"
        " return [...one.querySelectorAll('ol')]"
        ".map(list => list.getBoundingClientRect().height > 50 ? list.innerText : ''); })()"
    )

    assert len(rankings) == 2
    assert all(ATTACK in ranking and "3 x" in ranking for ranking in rankings)
