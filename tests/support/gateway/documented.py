"""Requests that schemathesis makes from an OpenAPI document: what it allows, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.runs.effort import IS_SOAK

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ANSWERED = ("2xx", "3xx", "4xx")


def assert_documented(
    url: str, document: dict[str, Any], folder: Path, *, examples: int, expected: Sequence[str] = ANSWERED
) -> None:
    """What is at `url` answers with nothing but what `document` announces, and of that with what is expected.

    A program of its own asks, so that only the process that has this test imports schemathesis and makes the cases:
    `examples` of each operation, the same each time but in a soak, and those that follow from the document alone."""
    file = folder / "openapi.json"
    file.write_text(json.dumps(document))
    config = folder / "schemathesis.toml"
    config.write_text(f"[checks]\nnot_a_server_error.expected-statuses = {json.dumps(expected)}\n")
    seed = ["--generation-database", "none"] if IS_SOAK else ["--generation-deterministic"]
    where = ["run", str(file), "--url", url, "--no-color", *seed]
    phases = ["--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--checks", CHECKS]
    how = ["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "120"]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), *where, *phases, *how]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=3_600, check=False, cwd=folder)

    assert asked.returncode == 0, asked.stdout + asked.stderr
