"""Which device a model runs on, found without torch where that can be: loading it takes seconds."""

from __future__ import annotations

import sys
from pathlib import Path

from connector.models.versions import installed

# devices of NVIDIA (also through WSL and on Jetson), AMD, Intel and others
ACCELERATORS = ("nvidia*", "nvhost*", "dxg", "kfd", "dri/renderD*", "accel*", "davinci*", "hl*", "mlu*", "xpu*")


def runs_on_cpu(device: str | None) -> bool:
    """Whether a model on this device, or on the best there is, runs on the CPU."""
    if device is not None:
        return device == "cpu"
    torch = installed("torch")
    if not torch or torch.endswith("+cpu"):
        return True
    if sys.platform == "linux" and not any(any(Path("/dev").glob(name)) for name in ACCELERATORS):
        return True
    from sentence_transformers.util import get_device_name

    return bool(get_device_name() == "cpu")
