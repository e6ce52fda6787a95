"""LanceDB's import is cut short, and what was left out is there when it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LEFT_OUT = """
import sys
import connector.clusters.embedded.cluster
print(*sorted(name for name in sys.modules if name.startswith("lance_namespace_urllib3_client.")))
print(*[name for name in ("overrides", "pandas", "lancedb.embeddings.openai", "pyarrow._dataset")
        if name in sys.modules])
"""
USED = """
import contextlib, sys
with contextlib.suppress(ImportError):  # Python has its own from 3.12 on
    import overrides  # which would check the marks in what runs later
import connector.clusters.embedded.cluster
import lancedb, pydantic
import lance_namespace_urllib3_client as client
from lance_namespace import LanceNamespace
print(client.__version__, client.TableApi.__name__, client.CreateTableResponse(location="here").location)
print(pydantic.BaseModel.model_config.get("defer_build"))
namespace = lancedb.connect_namespace("dir", {"root": sys.argv[1]})
namespace.create_table("fish", [{"name": "red"}])
print(namespace.open_table("fish").count_rows())
connection = lancedb.LanceNamespaceDBConnection
class Own(connection): pass
print(isinstance(namespace, connection), isinstance("", connection), Own.__mro__[1].__module__,
      connection.create_table.__name__, lancedb.namespace.connect_namespace.__name__,
      "openai" in lancedb.embeddings.get_registry()._functions, len(lancedb.connect(sys.argv[1]).list_tables().tables))
"""
DATA_SETS = """
import sys
import connector.clusters.embedded.cluster
import lancedb, pyarrow as pa, pyarrow.dataset as ds, pyarrow.parquet as pq
from lancedb.scannable import to_scannable
pq.write_table(pa.table({"name": ["red", "blue"]}), sys.argv[1] + "/fish.parquet")
table = lancedb.connect(sys.argv[1]).create_table("fish", ds.dataset(sys.argv[1] + "/fish.parquet"))
print(table.count_rows(), to_scannable(ds.dataset(sys.argv[1] + "/fish.parquet")).num_rows, type(ds.Dataset).__name__)
"""


def test_what_only_servers_and_namespaces_need_is_left_out(tmp_path: Path) -> None:
    assert run(LEFT_OUT, tmp_path).split() == []


def test_what_was_left_out_is_there_when_it_is_used(tmp_path: Path) -> None:
    (_, api, location), (deferring,), (rows,), stood_for = map(str.split, run(USED, tmp_path).splitlines())

    assert (api, location, deferring, rows) == ("TableApi", "here", "False", "1")
    assert stood_for == ["True", "False", "lancedb.namespace", "create_table", "connect_namespace", "True", "1"]


def test_data_sets_of_pyarrow_can_be_used_as_ever(tmp_path: Path) -> None:
    assert run(DATA_SETS, tmp_path).split() == ["2", "2", "type"]


def run(program: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout
