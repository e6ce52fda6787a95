"""Version and changelog agree, and `make release-check` notices where they do not."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml
from release import changelog_problems, read_version
from support.repository.pages import ROOT

UNRELEASED = "# Changelog\n\n## [Unreleased]\n\n### Fixed\n\n- A fault.\n"
RELEASED = "# Changelog\n\n## [0.2.0] - 2026-11-29\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2026-10-01\n"


def test_this_changelog_is_ready_for_this_version() -> None:
    assert changelog_problems(read_version(), (ROOT / "CHANGELOG.md").read_text()) == []


@pytest.mark.parametrize(
    ("version", "changelog", "tag"), [("0.2.0", UNRELEASED, ""), ("0.2.0", RELEASED, ""), ("0.2.0", RELEASED, "v0.2.0")]
)
def test_a_changelog_that_agrees_is_let_through(version: str, changelog: str, tag: str) -> None:
    assert changelog_problems(version, changelog, tag) == []


@pytest.mark.parametrize(
    ("version", "changelog", "tag", "words"),
    [
        ("0.2.0", UNRELEASED, "v0.2.0", "no section of 0.2.0"),
        ("0.3.0", RELEASED, "", "begins with 0.2.0"),
        ("0.3.0", RELEASED, "v0.3.0", "no section of 0.3.0"),
        ("0.2.0", RELEASED, "v0.3.0", "the tag is v0.3.0"),
        ("0.2.0", RELEASED.replace(" - 2026-11-29", ""), "", "has no date"),
        ("0.2.0", RELEASED.replace("Added", "New"), "", "'New' is none of"),
        ("0.2.0", "# Changelog\n", "", "no section"),
        ("0.2.0", "# Changelog\n\n## 0.2.0 (unreleased)\n", "", "is no '## [VERSION]"),
    ],
)
def test_what_does_not_agree_is_said(version: str, changelog: str, tag: str, words: str) -> None:
    assert any(words in problem for problem in changelog_problems(version, changelog, tag))


def test_the_workflow_and_the_templates_can_be_read() -> None:
    files = sorted((ROOT / ".github").rglob("*.yml"))

    assert len(files) > 3
    assert all(isinstance(yaml.safe_load(file.read_text()), dict) for file in files)


def test_all_is_run_on_every_python_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [name.rpartition(" ")[2] for name in project["classifiers"] if re.search(r"Python :: 3\.\d+$", name)]
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    given = [step.get("with", {}) for step in jobs["build"]["steps"]]
    (built_with,) = [inputs["python-version"] for inputs in given if "python-version" in inputs]

    assert sorted([built_with, *jobs["pythons"]["strategy"]["matrix"]["python-version"]]) == named
    assert all("run: .ci/run\n" in yaml.safe_dump(jobs[name]["steps"]) for name in ("build", "pythons"))
    assert {"build", "pythons"} <= {*jobs["publish"]["needs"]}


def test_every_hook_of_pre_commit_runs_what_is_here_already() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())

    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    assert all(hook["language"] == "system" for repo in config["repos"] for hook in repo["hooks"])


def test_no_change_is_told_twice() -> None:
    entries = [" ".join(line.split()) for line in re.split(r"(?m)^- ", (ROOT / "CHANGELOG.md").read_text())[1:]]
    begun = [line[:60] for line in entries]

    assert len(entries) > 50
    assert [line for line in begun if begun.count(line) > 1] == []
