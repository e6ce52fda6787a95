"""Whether a release can be made: wheel and sdist are built and checked, and version and changelog agree.

Run by `make release-check`, with TAG=vVERSION for the release itself. What was built is left in dist/."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNRELEASED = "Unreleased"
HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>\d{4}-\d\d-\d\d))?$", re.MULTILINE)
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def main() -> None:
    problems = changelog_problems(read_version(), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), *sys.argv[1:])
    if problems:
        sys.exit("\n".join(problems))
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "build", "--quiet", "--out-dir", dist, ROOT], check=True)
    built = sorted(dist.glob("*.whl")) + sorted(dist.glob("*.tar.gz"))
    assert len(built) == 2, f"built {[file.name for file in built]}, not a wheel and an sdist"
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *built], check=True)
    with tarfile.open(built[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    missing = {"pyproject.toml", "README.md", "LICENSE", "mappings/elasticsearch.json"} - names
    assert not missing, f"the sdist lacks {sorted(missing)}"
    print(f"{', '.join(file.name for file in built)}: built and checked")


def read_version() -> str:
    """The version in pyproject.toml."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return version


def changelog_problems(version: str, changelog: str, tag: str = "") -> list[str]:
    """What is wrong with a changelog of the shape of keepachangelog.com for this version.

    Without a tag the newest section may be "Unreleased". With one, the tag, the version and the newest dated section
    agree."""
    sections = list(HEADING.finditer(changelog))
    problems = [f"CHANGELOG.md: {line!r} is no '## [VERSION] - YYYY-MM-DD'" for line in _other_headings(changelog)]
    problems += [
        f"CHANGELOG.md: {kind!r} is none of {', '.join(KINDS)}" for kind in _kinds(changelog) if kind not in KINDS
    ]
    problems += [
        f"CHANGELOG.md: {section['version']} has no date"
        for section in sections
        if section["version"] != UNRELEASED and not section["date"]
    ]
    released = [section["version"] for section in sections if section["version"] != UNRELEASED]
    if not sections:
        problems.append("CHANGELOG.md has no section; begin with '## [Unreleased]'")
    elif tag and tag != f"v{version}":
        problems.append(f"the tag is {tag}, but pyproject.toml has version {version}")
    elif tag and released[:1] != [version]:
        problems.append(f"CHANGELOG.md has no section of {version} on top; give 'Unreleased' that version and a date")
    elif not tag and sections[0]["version"] not in (UNRELEASED, version):
        problems.append(f"CHANGELOG.md begins with {sections[0]['version']}, but pyproject.toml has version {version}")
    return problems


def _other_headings(changelog: str) -> list[str]:
    return [line for line in changelog.splitlines() if line.startswith("## ") and not HEADING.fullmatch(line)]


def _kinds(changelog: str) -> list[str]:
    return re.findall(r"^### (.*)$", changelog, re.MULTILINE)


if __name__ == "__main__":
    main()
