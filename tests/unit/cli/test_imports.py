"""What commands import, which is most of the time that they take: bounds on modules, since seconds are the machine's.
`make bench-start` has the seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.programs.command import Launcher, environment

MODULES = 785  # 777 today, 180 of them ours; numpy, pydantic, rich and LanceDB have a third of them
# of the packages that are not Python's own
NEEDED = {
    "annotated_doc", "annotated_types", "certifi", "connector", "dateutil", "deprecation", "filelock",
    "lance_namespace", "lance_namespace_urllib3_client", "lancedb", "numpy", "onnxruntime", "packaging", "pyarrow",
    "pydantic", "pydantic_core", "rich", "shellingham", "six", "Stemmer", "tokenizers", "tqdm", "typer",
    "typing_extensions", "typing_inspection", "uvloop", "yaml",
}  # fmt: skip
# looked for by a package above, and used where it is there
LOOKED_FOR = {"attr", "pytz", "IPython", "cloudpickle", "cython_runtime", "sitecustomize"}
HELP_DOES_WITHOUT = {"numpy", "pydantic", "yaml", "torch", "aiohttp", "httpx", "asyncio"}
PROGRAM = """
import atexit, sys
own = {file for file in sys.stdlib_module_names}
def say():
    modules = [name for name, module in sys.modules.items() if module is not None]
    packages = {name.partition(".")[0] for name in modules} - own
    print(len(modules), *sorted(name for name in packages if not name.startswith("_")), file=sys.stderr)
atexit.register(say)
sys.argv = ["connector", *sys.argv[1:]]
from connector.__main__ import main
main()
"""


def imported(*arguments: str, cwd: Path, **variables: str) -> tuple[int, set[str]]:
    """How many modules a command has imported at its end, and of which packages."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment() | variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    count, *packages = done.stderr.splitlines()[-1].split()
    return int(count), set(packages)


def test_a_search_of_the_embedded_store_imports_little(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "documents.jsonl").write_text(json.dumps({"_id": "a", "text": "A registered deal lasts 90 days."}))
    ingested = launcher.run("ingest", "documents.jsonl", cwd=tmp_path)
    count, packages = imported("search", "how long is a deal registered", "--no-rerank", cwd=tmp_path)

    assert ingested.code == 0, ingested.stderr
    assert packages - NEEDED - LOOKED_FOR == set()
    assert {"lancedb", "onnxruntime", "typer"} <= packages
    assert count <= MODULES


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_imports_nothing_that_it_does_not_need(flag: str, tmp_path: Path) -> None:
    _, packages = imported(flag, cwd=tmp_path)

    assert packages & HELP_DOES_WITHOUT == set()
    assert "typer" in packages


def test_a_shell_that_completes_a_command_imports_none(tmp_path: Path) -> None:
    asked = {"_CONNECTOR_COMPLETE": "complete_bash", "COMP_WORDS": "connector in", "COMP_CWORD": "1"}
    _, packages = imported(cwd=tmp_path, **asked)

    assert packages & (HELP_DOES_WITHOUT - {"pydantic"}) == set()  # with which Typer reads what it is asked
