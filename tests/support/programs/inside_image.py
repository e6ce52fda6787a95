"""What a container of the image sees of itself, as one JSON object; run inside it by its own Python.

Its user sees what it may do, root what there is."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDERS = ("/opt/connector", "/opt/graphs", "/usr", "/etc", "/models", "/data", "/tmp")
PACKAGES = ("connector", "onnxruntime", "torch", "transformers", "sentence_transformers", "pip", "uv")
LEFT_BY_BUILDING = (
    "/src",
    "/wheel",
    "/opt/uv",
    "/root/.cache",
    "/data/.cache",
    "/opt/graphs/uv",
    "/opt/graphs/Microsoft",
)


def main() -> None:
    print(json.dumps(contents() if os.getuid() == 0 else rights()))


def rights() -> dict[str, Any]:
    """What a process of the container may do."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return {
        "user": os.getuid(),
        "first_process": Path("/proc/1/cmdline").read_text().split("\0")[0],
        "capabilities": int(status["CapEff"], 16),
        "may_gain_privileges": status["NoNewPrivs"].strip() == "0",
        "read_only": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
        "writable": [folder for folder in FOLDERS if os.access(folder, os.W_OK)],
    }


def contents() -> dict[str, Any]:
    """What is in the image; for root, who may look everywhere."""
    (site,) = [Path(folder) for folder in sys.path if folder.endswith("site-packages")]
    return {
        "installed": [name for name in PACKAGES if importlib.util.find_spec(name)],
        "not_compiled": [str(file) for file in site.rglob("*.py") if not is_compiled(file)],
        "left_by_building": [name for name in LEFT_BY_BUILDING if any(Path(name).glob("*"))],
    }


def is_compiled(file: Path) -> bool:
    return Path(importlib.util.cache_from_source(str(file))).exists()


if __name__ == "__main__":
    main()
