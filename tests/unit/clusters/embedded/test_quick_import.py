"""LanceDB's import is cut short, and what was left out is there when it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LEFT_OUT = """
import sys
import connector.clusters.embedded.cluster
print("overrides" in sys.modules, "lance_namespace_urllib3_client.api" in sys.modules)
"""
USED = """
import connector.clusters.embedded.cluster
import lancedb, pydantic
import lance_namespace_urllib3_client as client
print(client.__version__, client.TableApi.__name__, client.CreateTableResponse(location="here").location)
print(pydantic.BaseModel.model_config.get("defer_build"))
namespace = lancedb.connect_namespace("dir", {"root": sys.argv[1]})
namespace.create_table("fish", [{"name": "red"}])
print(namespace.open_table("fish").count_rows())
"""


def test_what_only_servers_and_namespaces_need_is_left_out() -> None:
    said = subprocess.run([sys.executable, "-c", LEFT_OUT], capture_output=True, text=True, check=True).stdout

    assert said.split() == ["False", "False"]


def test_what_was_left_out_is_there_when_it_is_used(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys" + USED, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert not done.returncode, done.stderr
    (_, api, location), (deferring,), (rows,) = map(str.split, done.stdout.splitlines())
    assert (api, location, deferring, rows) == ("TableApi", "here", "False", "1")
