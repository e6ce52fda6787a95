"""The documentation builds without network, its links lead somewhere, and it names what exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import connector
from connector.settings.load import setting_names
from connector.settings.sources import env_name

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built documentation. A link or an anchor that leads nowhere fails the build."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_a_reader_s_browser_fetches_nothing_from_elsewhere(site: Path) -> None:
    fetched = re.compile(
        r"<(?:script|img|iframe|source)[^>]+src=[\"']?https?:|<link[^>]+rel=[\"']?stylesheet[^>]+https?:"
    )
    pages = {page: page.read_text() for page in site.rglob("*.html")}

    assert len(pages) > 20
    assert not [page for page, text in pages.items() if fetched.search(text)]


def test_the_reference_has_every_setting_command_and_public_name(site: Path) -> None:
    pages = {
        name: (site / "reference" / name / "index.html").read_text() for name in ("settings", "cli", "python", "http")
    }
    settings = [env_name(path) for path in setting_names().paths]
    commands = ["connector ingest", "connector index drop", "connector native install"]
    paths = ["POST /rerank", "GET /health", "POST /v1/embeddings"]
    public = [name for name in connector.__all__ if not name.startswith("_")]
    missing = {
        "settings": [name for name in settings if f"<code>{name}</code>" not in pages["settings"]],
        "cli": [name for name in commands if f'id="{name.replace(" ", "-")}"' not in pages["cli"]],
        "http": [path for path in paths if path not in pages["http"]],
        "python": [name for name in public if not re.search(rf'id="connector\.[\w.]*\b{name}"', pages["python"])],
    }

    assert missing == {"settings": [], "cli": [], "http": [], "python": []}
