"""What figures were taken on: times mean nothing without the machine, measures little without the versions."""

from __future__ import annotations

import os
import platform
from typing import Any

from connector.models.versions import installed

WHAT_COUNTS = ("hybrid-search-connector", "onnxruntime", "openvino", "torch", "sentence-transformers", "lancedb")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory and versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "versions": {name: found for name in WHAT_COUNTS if (found := installed(name))},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        return platform.processor()
