"""How long a test waits for a reply where it does not say so. Importing this sets it, for this process."""

from __future__ import annotations

import httpx
from httpx._config import DEFAULT_TIMEOUT_CONFIG as DEFAULT

PATIENCE_S = 120.0


def be_patient() -> None:
    """httpx waits 5 s where nobody says for how long. A machine that others keep busy may stand still for longer, and
    such a test would fail by chance."""
    DEFAULT.connect = DEFAULT.read = DEFAULT.write = DEFAULT.pool = PATIENCE_S
    with httpx.Client(verify=False) as client:  # reads no authorities
        assert client.timeout == httpx.Timeout(PATIENCE_S), "httpx keeps its default elsewhere"


be_patient()
