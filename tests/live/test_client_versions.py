"""Elasticsearch's client 8 and client 9 each speak to both servers. All other tests run with the one that is installed;
here is the other."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import elasticsearch
import pytest
from support.environments import run_python, run_uv
from support.pages import ROOT

INSTALLED = elasticsearch.__version__[0]
OTHER = {8: ("9", "elasticsearch[async]>=9,<10"), 9: ("8", "elasticsearch[async]>=8.19,<9")}
TRIAL = ROOT / "tests" / "support" / "client_trial.py"


@pytest.mark.live
def test_the_other_client_ingests_and_searches_on_both_servers(engines: Any, tmp_path: Path) -> None:
    other, requirement = OTHER[INSTALLED]
    run_uv("pip", "install", "--python", sys.executable, "--target", tmp_path, requirement)
    said = run_python(
        sys.executable, TRIAL, engines.url("es8"), engines.url("es9"), path=(tmp_path, ROOT, ROOT / "tests")
    )

    expected = {"client": int(other), "written": 2, "hits": ["a", "b"], "degraded": []}
    assert json.loads(said) == [expected | {"server": 8}, expected | {"server": 9}]
