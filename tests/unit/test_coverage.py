"""`make coverage` counts what the tests' commands run, in processes that are forked, started, and ended at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.repository.pages import ROOT

IN_A_CHILD = "import connector.text; os._exit(0)"
WAYS = {
    "forked": f"import os\nif not os.fork():\n    {IN_A_CHILD}\nos.wait()",
    "started": f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import os; {IN_A_CHILD}'], cwd='/')",
}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_process_of_a_test_runs_is_counted(way: str, tmp_path: Path) -> None:
    settings = tmp_path / "pyproject.toml"
    settings.write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "test.py").write_text(WAYS[way])
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    for command in ("run test.py", "combine", "json -o counted.json --include */connector/text.py"):
        done = subprocess.run(
            [sys.executable, "-m", "coverage", *command.split()],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, (command, done.stdout, done.stderr)
    (counted,) = json.loads((tmp_path / "counted.json").read_text())["files"].values()

    assert counted["executed_lines"]
