"""Packages with plug-ins, as an installer leaves them: their modules, and a dist-info that names their entry points."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support.repository.pages import ROOT

PAGE = ROOT / "docs" / "how-to" / "write-a-plug-in.md"
FENCED = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def write_page(folder: Path) -> None:
    """The package that the page makes, and its tests."""
    fences = [found.groupdict() for found in FENCED.finditer(PAGE.read_text(encoding="utf-8"))]
    project = tomllib.loads(next(fence["text"] for fence in fences if fence["kind"] == "toml"))["project"]
    files = {
        fence["text"].splitlines()[0].removeprefix("# "): fence["text"] for fence in fences if fence["kind"] == "python"
    }
    write_package(folder, project["name"], project["version"], project["entry-points"], files)


def write_package(
    folder: Path, name: str, version: str, entry_points: Mapping[str, Mapping[str, str]], files: Mapping[str, str]
) -> None:
    """A package in a folder of packages."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [line for group, found in entry_points.items()
             for line in (f"[{group}]", *(f"{called} = {target}" for called, target in found.items()))]  # fmt: skip
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """A folder of packages where Python looks, for as long as the block lasts; what comes from it is forgotten."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            module = sys.modules[name]
            places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]  # a namespace has no file
            if any(str(place).startswith(str(folder)) for place in places):
                del sys.modules[name]
        importlib.invalidate_caches()
