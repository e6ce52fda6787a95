"""Elasticsearch's client 8 and client 9 each speak to both servers. All other tests run with the one that is installed;
here is the other."""

from __future__ import annotations

import json
import sys
from typing import Any

import elasticsearch
import pytest
from support.programs.environments import other_client, run_python
from support.repository.pages import ROOT

TRIAL = ROOT / "tests" / "support" / "programs" / "client_trial.py"


@pytest.mark.live
def test_the_other_client_ingests_and_searches_on_both_servers(engines: Any) -> None:
    printed = run_python(
        sys.executable, TRIAL, engines.url("es8"), engines.url("es9"), path=(other_client(), ROOT, ROOT / "tests")
    )

    expected = {"client": {8: 9, 9: 8}[elasticsearch.__version__[0]], "written": 2, "hits": ["a", "b"], "degraded": []}
    assert json.loads(printed) == [expected | {"server": 8}, expected | {"server": 9}]
