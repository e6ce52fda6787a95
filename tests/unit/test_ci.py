""".ci/run as a fresh machine meets it: as root, as another user, and where there is no apt-get; and the workflow that
runs it for a release."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema.validators import validator_for
from ruamel.yaml import YAML
from support.repository.pages import ROOT

SCRIPT = ROOT / ".ci" / "run"
WORKFLOW = YAML(typ="safe").load(ROOT / ".github/workflows/release.yml")  # YAML 1.2, as GitHub's: `on` is no true
SUPERUSER, ANOTHER = 0, 1_001


def run_on_bare_machine(folder: Path, user: int, *arguments: str, apt: bool) -> tuple[list[str], str, int]:
    """What is called on a machine that has none of the programs, what is said, and the exit code.

    apt-get, sudo and make only note that they were called: a test installs nothing."""
    programs, called = folder / "bin", folder / "called"
    programs.mkdir()
    for name in ("bash", "dirname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    stand_ins = {"id": f"echo {user}", "sudo": f'echo "sudo $*" >>{called}', "make": f'echo "make $*" >>{called}'}
    if apt:
        stand_ins["apt-get"] = f'echo "apt-get $*" >>{called}'
    for name, line in stand_ins.items():
        (programs / name).write_text(f"#!{programs}/bash\n{line}\n")
        (programs / name).chmod(0o755)
    done = subprocess.run(
        [programs / "bash", SCRIPT, *arguments],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    return called.read_text().splitlines() if called.exists() else [], done.stderr, done.returncode


@pytest.mark.parametrize(("user", "prefix"), [(SUPERUSER, ""), (ANOTHER, "sudo ")])
def test_what_is_missing_is_installed_as_root(tmp_path: Path, user: int, prefix: str) -> None:
    (update, install, make), stderr, code = run_on_bare_machine(tmp_path, user, apt=True)

    assert (stderr, code) == ("", 0)
    assert update == f"{prefix}apt-get update -qq"
    assert install.startswith(f"{prefix}apt-get install -qq -y ")
    assert {"chromium", "npm", "strace", "wrk"} < set(install.split())
    assert make == "make test"


def test_without_apt_get_it_says_what_to_install(tmp_path: Path) -> None:
    called, stderr, code = run_on_bare_machine(tmp_path, ANOTHER, apt=False)

    assert (called, code) == ([], 1)
    assert "no apt-get" in stderr
    assert "chromium" in stderr


def test_it_makes_another_target(tmp_path: Path) -> None:
    called, _, _ = run_on_bare_machine(tmp_path, SUPERUSER, "test-lowest", apt=True)

    assert called[-1] == "make test-lowest"


def test_the_workflow_is_one_of_github() -> None:
    schema = get_builtin_schema("vendor.github-workflows")
    validator = validator_for(schema)(schema)

    assert [error.message for error in validator.iter_errors(WORKFLOW)] == []
    assert list(validator.iter_errors(WORKFLOW | {"jobs": {"build": {"steps": [{"runs": "make"}]}}}))


def test_nothing_is_published_before_every_other_job_has_passed() -> None:
    jobs = dict(WORKFLOW["jobs"])
    publish = jobs.pop("publish")
    steps = {step.get("run", "") for job in jobs.values() for step in job["steps"]}

    assert set(publish["needs"]) == jobs.keys()
    assert {".ci/run", ".ci/run test-lowest", "make test-image"} <= steps
    assert any(step.startswith("make release-check TAG=") for step in steps)
