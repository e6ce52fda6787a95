"""Nothing calls home: what libraries would tell their makers is off before any of them is imported.

`import connector` sees to it. What these variables say is for this process and its children."""

from __future__ import annotations

import os
import sys

# variable -> whom it keeps from sending what; it is set to 1
SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "onnxruntime, since 1.32: models, processors and errors, to Microsoft",
    "HF_HUB_DISABLE_TELEMETRY": "huggingface_hub, transformers, datasets and hf-xet: versions and uses, to the hub",
    "DO_NOT_TRACK": "whoever else keeps to https://consoledonottrack.com",
}

# the same, of a library whose switch is set to 0
OFF_SWITCHES = {"RAY_USAGE_STATS_ENABLED": "ray: versions, sizes and uses of clusters, to Anyscale"}

# of openvino, to Google Analytics at its import; where it cannot be imported, openvino goes on without it
OPENVINO = "openvino_telemetry"


def keep_silent() -> None:
    """Turn the switches. A library that was imported before has read them already; of those, onnxruntime can be told
    again (connector/models/onnx/session.py)."""
    os.environ.update(dict.fromkeys(SWITCHES, "1") | dict.fromkeys(OFF_SWITCHES, "0"))
    sys.modules.setdefault(OPENVINO, None)  # type: ignore[arg-type]  # what import takes for: it is not there
