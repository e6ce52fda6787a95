"""What a bench ran on, and how it says so: figures come with the machine and the versions behind them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from connector.evaluation.machine import describe_machine


def print_result(result: dict[str, Any]) -> None:
    """The figures with what they ran on, as one JSON object on the last line of stdout."""
    sys.stdout.flush()
    print(json.dumps({"machine": describe_machine() | {"commit": _commit()}} | result), flush=True)


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()
