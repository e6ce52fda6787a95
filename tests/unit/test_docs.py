"""The documentation builds without network, its links lead somewhere, and it names what exists."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import connector
from connector.gateway.api.app import create_api
from connector.settings.load import setting_names
from connector.settings.names import env_name
from connector.settings.sections import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def build(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """The build as `make docs` runs it. Not with --quiet, which hides the warnings from --strict too."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built documentation. A link or an anchor that leads nowhere fails the build."""
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT, folder)
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
        name: (site / "reference" / name / "index.html").read_text()
        for name in ("settings", "cli", "python", "http", "gateway-http")
    }
    settings = [env_name(path) for path in setting_names().paths]
    commands = ["connector ingest", "connector index drop", "connector native install"]
    paths = ["POST /rerank", "GET /health", "POST /v1/embeddings"]
    gateway = create_api(Settings()).openapi()
    keys = [key for shape in gateway["components"]["schemas"].values() for key in shape.get("properties", ())]
    public = [name for name in connector.__all__ if not name.startswith("_")]
    missing = {
        "settings": [name for name in settings if f"<code>{name}</code>" not in pages["settings"]],
        "cli": [name for name in commands if f'id="{name.replace(" ", "-")}"' not in pages["cli"]],
        "http": [path for path in paths if path not in pages["http"]],
        "gateway-http": [
            *(path for path in gateway["paths"] if path not in pages["gateway-http"]),
            *(key for key in keys if f"<code>{key}</code>" not in pages["gateway-http"]),
        ],
        "python": [name for name in public if not re.search(rf'id="connector\.[\w.]*\b{name}"', pages["python"])],
    }

    assert len(keys) > 50
    assert missing == {name: [] for name in pages}


def test_every_page_is_one_link_away() -> None:
    """From the README or the site's first page; a measurement from the list of measurements."""
    lists = {ROOT / "README.md", DOCS / "index.md", DOCS / "measurements" / "index.md"}
    linked = {
        (file.parent / target).resolve().relative_to(ROOT).as_posix()
        for file in lists
        for target in re.findall(r"\]\(([\w./-]+\.md)\b", file.read_text(encoding="utf-8"))
    }
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    pages = set(pages_of(site["nav"]))

    assert len(pages) > 60
    assert sorted(page for page in pages - {"index.md"} if f"docs/{page}" not in linked) == []


def test_every_page_lies_with_its_kind() -> None:
    kinds = {"tutorial", "how-to", "reference", "explanation", "measurements"}
    pages = [page.relative_to(DOCS) for page in DOCS.rglob("*.md")]

    assert [str(page) for page in pages if page.parts[0] not in {*kinds, "index.md"}] == []


def pages_of(nav: Any) -> Iterator[str]:
    """The pages that a part of the navigation names."""
    if isinstance(nav, str):
        yield nav
        return
    for part in nav.values() if isinstance(nav, dict) else nav:
        yield from pages_of(part)


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    checks = {key: settings[key] for key in ("strict", "validation")}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump({"site_name": "Links", **checks}))
    nowhere = ["index.md#no-such-heading", "no-such-page.md", "/index.md"]

    assert build_page(tmp_path, "index.md#start").returncode == 0
    refused = build_page(tmp_path, *nowhere)
    assert refused.returncode == 1
    assert [link for link in nowhere if f"'{link}'" not in refused.stderr] == []


def build_page(folder: Path, *links: str) -> subprocess.CompletedProcess[str]:
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "index.md").write_text("# Start\n\n" + "\n".join(f"[somewhere]({link})" for link in links))
    return build(folder, folder / "site")


def test_a_link_to_a_file_of_the_repository_must_find_one(caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "from_code")
    resolve = importlib.import_module("hooks").on_page_markdown
    page = SimpleNamespace(file=SimpleNamespace(src_uri="how-to/deploy.md"))

    assert resolve("[roles](../../examples/cron/crontab)", page) == "roles (`examples/cron/crontab`)"
    assert not caplog.messages
    assert resolve("[roles](../../examples/no-such)", page) == "roles (`examples/no-such`)"
    assert caplog.messages == ["how-to/deploy.md links to ../../examples/no-such, which is not in the repository"]
