"""Elasticsearch's client 8 and client 9 each speak to both servers. All other tests run with the one that is installed;
here is the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import elasticsearch
import pytest
from support.pages import ROOT

INSTALLED = elasticsearch.__version__[0]
OTHER = {8: ("9", "elasticsearch[async]>=9,<10"), 9: ("8", "elasticsearch[async]>=8.19,<9")}
TRIAL = ROOT / "tests" / "support" / "client_trial.py"


@pytest.mark.live
def test_the_other_client_ingests_and_searches_on_both_servers(engines: Any, tmp_path: Path) -> None:
    other, requirement = OTHER[INSTALLED]
    install = [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--target", tmp_path, requirement]
    subprocess.run(list(map(str, [*install, "--python", sys.executable])), check=True)
    paths = [tmp_path, ROOT, ROOT / "tests"]
    done = subprocess.run(
        [sys.executable, str(TRIAL), engines.url("es8"), engines.url("es9")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert not done.returncode, done.stderr
    expected = {"client": int(other), "written": 2, "hits": ["a", "b"], "degraded": []}
    assert json.loads(done.stdout) == [expected | {"server": 8}, expected | {"server": 9}]
