"""What MkDocs asks for while it builds: the pages that are made from the code, and links that leave the folder
docs/."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cli_page import build_cli_page
from gateway_page import build_gateway_page
from http_page import build_http_page
from mkdocs.structure.files import File, Files
from python_page import build_python_page
from settings_page import build_settings_page

ROOT = Path(__file__).parents[2]
MADE: Mapping[str, Callable[[], str]] = {
    "reference/settings.md": build_settings_page,
    "reference/cli.md": build_cli_page,
    "reference/http.md": build_http_page,
    "reference/gateway-http.md": build_gateway_page,
    "reference/python.md": build_python_page,
    "contributing.md": lambda: from_the_top("CONTRIBUTING.md"),
    "changelog.md": lambda: from_the_top("CHANGELOG.md"),
}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")

log = logging.getLogger("mkdocs.hooks.from_code")  # below "mkdocs", so that strict mode counts the warnings


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from the code."""
    for path, build in MADE.items():
        files.append(File.generated(config, path, content=build()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace a link to a file of the repository outside docs/ by its text: it works in the repository, not on the
    site.

    A file that is not there is a warning, which fails a strict build."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def resolve(match: re.Match[str]) -> str:
        label, target = match[1], match[2]
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = (folder / target).resolve()
        if path.is_relative_to(ROOT / "docs"):
            return match[0]
        if not path.exists():
            log.warning("%s links to %s, which is not in the repository", page.file.src_uri, target)
        return label if "`" in label or "/" in label else f"{label} (`{path.relative_to(ROOT)}`)"

    return LINK.sub(resolve, markdown)


def from_the_top(name: str) -> str:
    """A page of the repository's first folder, as if it stood in docs/."""

    def resolve(match: re.Match[str]) -> str:
        label, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target:
            return match[0]
        return f"[{label}]({target.removeprefix('docs/') if target.startswith('docs/') else f'../{target}'}{anchor})"

    return LINK.sub(resolve, (ROOT / name).read_text(encoding="utf-8"))
