"""Another state of the code, to be measured beside this one: a commit's, or that of a folder with another checkout."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def checked_out(state: str) -> Iterator[Path]:
    """Where the code of a commit lies as long as the block lasts; of a folder, the folder itself."""
    if Path(state).is_dir():
        yield Path(state).resolve()
        return
    git = ("git", "-C", str(ROOT), "worktree")
    with tempfile.TemporaryDirectory(prefix="bench-checkout-") as folder:
        place = Path(folder) / "code"
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), state], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)
