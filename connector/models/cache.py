"""Where what can be made or fetched again is kept: models, graphs, measurements of backends."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/hybrid-search-connector, ~/.cache without that variable."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "hybrid-search-connector"
