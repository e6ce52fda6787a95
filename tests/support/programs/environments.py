"""Environments of Python with other packages than this one has: fewer of them by links to those that are here, others
brought by uv."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path

import elasticsearch
from filelock import FileLock
from packaging.requirements import Requirement
from support.repository.pages import ROOT

# as the tests were started: conftest.py lets them trust nobody, and here a package index is asked
TRUSTED = {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
OTHER_CLIENT = {8: "elasticsearch[async]>=9,<10", 9: "elasticsearch[async]>=8.19,<9"}[elasticsearch.__version__[0]]


def kept_folder(name: str, *made_of: bytes) -> Path:
    """A folder under .tools for what package managers bring, the same as long as their lists are."""
    folder = ROOT / ".tools" / f"{name}-{hashlib.sha256(b''.join(made_of)).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def other_client() -> Path:
    """A folder with the client for Elasticsearch that is not installed here: 9 where 8 is, or 8 where 9 is."""
    folder = kept_folder("other-client", OTHER_CLIENT.encode(), sys.version.encode())
    with FileLock(folder / "lock"):
        if not (folder / "elasticsearch").exists():
            run_uv("pip", "install", "--python", sys.executable, "--target", folder, OTHER_CLIENT)
    return folder


def link_packages(folder: Path, extras: Iterable[str], packages: Iterable[str] = ()) -> None:
    """Fill a folder with links to the installed packages that the product needs with these extras, and to `packages`:
    for a Python that is started without its own (`-S`), an environment that has no others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    folder.mkdir()
    for name in {*_with_what_they_need(wanted), *packages}:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or () if ".." not in file.parts}:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))))


def _with_what_they_need(requirements: Iterable[str]) -> set[str]:
    """The names of installed packages that fulfil the requirements, and of all that those need."""
    extras_of: dict[str, set[str]] = {}
    left = [Requirement(line) for line in requirements]
    while left:
        wanted = left.pop()
        seen = extras_of.setdefault(wanted.name, set())
        new = {"", *wanted.extras} - seen
        seen |= new
        for needed in map(Requirement, (distribution(wanted.name).requires or ()) if new else ()):
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in new):
                left.append(needed)
    return set(extras_of)


def run_uv(*arguments: str | Path) -> None:
    """uv, with the arguments; what it says is shown where it fails."""
    uv = Path(sys.executable).with_name("uv")
    own = {name: value for name, value in os.environ.items() if name not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    _run([uv, *arguments, "--quiet"], own | TRUSTED)


def run_python(python: str | Path, *arguments: str | Path, path: tuple[Path, ...] = (ROOT, ROOT / "tests")) -> str:
    """What a program prints that finds modules in `path` first."""
    return _run([python, *arguments], {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))})


def _run(command: list[str | Path], variables: Mapping[str, str]) -> str:
    done = subprocess.run(list(map(str, command)), env=variables, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout
