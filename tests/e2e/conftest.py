"""The demo runs once, from an empty folder, over a share of the example corpus (in a soak over all of it); what it
encoded is not encoded again for the other stores. A real browser starts once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from support.evaluation.slices import CORPUS, rows, write_slice
from support.models.remembering import RememberingEncoder
from support.programs.command import environment
from support.programs.strace import addresses, watching
from support.runs.effort import IS_SOAK
from support.runs.missing import skip_or_fail
from support.servers.browser import Browser, Page, browsing, find_browser

from connector.models.encoder import Encoder
from connector.types import Vector

EXAMPLES = Path(__file__).parents[2] / "examples"
EVERY = 8  # of the corpus's queries
CHARS, LONG_CHARS, LONG_EVERY = 250, 1_500, 8  # of a document; of every eighth, so that it is two passages


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo printed, the folder that it ran in, with its store, and whom it and its worker spoke to."""

    printed: str
    folder: Path
    spoken_to: frozenset[str] | None  # addresses; None where nothing saw them

    def run(self, program: str, **variables: str) -> str:
        """What another example prints in that folder."""
        return run_example(program, cwd=self.folder, **variables)


@pytest.fixture(scope="session")
def browser_program() -> str:
    """The program of a browser."""
    return find_browser() or skip_or_fail(
        "there is no browser: install Chromium (Debian: apt-get install chromium), or name one in TEST_BROWSER"
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(browser_program: str) -> AsyncIterator[Browser]:
    """One for all tests, since a start takes a second. Who has it runs in the loop of the session."""
    async with browsing(browser_program) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def one_tab(browser: Browser) -> AsyncIterator[Page]:
    """One for all tests, since a new one takes half a second."""
    async with browser.tab() as page:
        yield page


@pytest_asyncio.fixture(loop_scope="session")
async def tab(one_tab: Page) -> Page:
    """A tab as somebody finds it who was never here."""
    await one_tab.send("Network.clearBrowserCookies")
    await one_tab.send("Emulation.setScriptExecutionDisabled", value=False)
    await one_tab.open("about:blank")
    one_tab.messages.clear()
    one_tab.asked.clear()
    return one_tab


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every eighth query of the example corpus with the documents that answer it."""
    if IS_SOAK:
        return CORPUS
    folder = tmp_path_factory.mktemp("corpus")
    queries = rows("queries.jsonl")[::EVERY]
    write_slice(folder, queries, chars=CHARS, least_grade=1, long_chars=LONG_CHARS, long_every=LONG_EVERY)
    return folder


@pytest.fixture(scope="session")
def demo(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo over three queries."""
    folder = tmp_path_factory.mktemp("demo")
    calls = tmp_path_factory.mktemp("calls") / "calls.txt"
    printed = run_example("demo.py", "--data", str(corpus), "--queries", "3", cwd=folder, watched=watching(calls))
    return Demo(printed, folder, addresses(calls) if calls.exists() else None)


@pytest.fixture(scope="session")
def remembering(demo: Demo, encoder: Encoder) -> RememberingEncoder:
    """The encoder, which knows the vectors that the demo has written."""
    return RememberingEncoder(encoder, asyncio.run(_read_vectors(demo.folder / "demo-store")))


async def _read_vectors(store: Path) -> dict[str, Vector]:
    import lancedb  # half a second, of each process that collects the tests

    connection = await lancedb.connect_async(str(store))
    table = await connection.open_table("connector-demo")
    held = (await table.query().select(["passages", "vectors"]).to_arrow()).to_pylist()
    connection.close()
    return {
        text: np.asarray(vector, dtype=np.float32)
        for row in held
        for text, vector in zip(row["passages"], row["vectors"], strict=True)
    }


def run_example(program: str, *arguments: str, cwd: Path, watched: Sequence[str] = (), **variables: str) -> str:
    """What a program in examples/ prints on stdout; `watched` comes before its command."""
    command = [*watched, sys.executable, str(EXAMPLES / program), *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment() | variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
