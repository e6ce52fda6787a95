"""axe-core, which finds what keeps people with disabilities from using a page: out of npm, kept in .tools."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from support.repository.pages import ROOT
from support.servers.browser import Page

VERSION = "4.14.1"
TOOLS = ROOT / ".tools"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
RUN = """axe.run(document, {{runOnly: {rules}, resultTypes: ['violations']}}).then(found => found.violations.map(
    each => each.id + ': ' + each.help + ': ' + each.nodes.map(node => node.html.slice(0, 100)).join(' | ')))"""


class AxeMissing(Exception):
    """It is not here and cannot be fetched."""


@cache
def axe_source() -> str:
    """The script. Raises AxeMissing."""
    kept = TOOLS / f"axe-core-{VERSION}.js"
    TOOLS.mkdir(exist_ok=True)
    with FileLock(kept.with_suffix(".lock")):
        if not kept.exists():
            kept.write_text(_fetch(), encoding="utf-8")
    return kept.read_text(encoding="utf-8")


async def find_violations(page: Page) -> list[Any]:
    """What of the page as it is now breaks a rule of WCAG 2.2, levels A and AA, or a best practice."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(f"{axe_source()}; null")
    found: list[Any] = await page.evaluate(RUN.format(rules=json.dumps(RULES)))
    return found


def _fetch() -> str:
    npm = shutil.which("npm")
    if npm is None:
        raise AxeMissing("axe-core is fetched by npm, which is not installed (Debian: apt-get install npm)")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [npm, "pack", "--silent", f"axe-core@{VERSION}"], cwd=folder, capture_output=True, text=True, timeout=120
        )
        if done.returncode != 0:
            raise AxeMissing(f"npm cannot fetch axe-core {VERSION}: {done.stderr.strip()}")
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
            script = package.extractfile("package/axe.min.js")
            assert script
            return script.read().decode("utf-8")
