"""Programs of bench/, run small."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.command import Launcher
from support.slices import queries_of, write_slice

BENCH = Path(__file__).parents[2] / "bench"
KINDS = ("code", "paraphrase", "negation")
CHARS = 120  # of a document, so that it is one passage


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs programs of bench/ in a folder."""

    folder: Path
    launcher: Launcher

    def __call__(self, program: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """The JSON on the last line of what the program prints."""
        done = self.launcher.start(*arguments, cwd=self.folder, program=BENCH / f"{program}.py").wait(800)
        assert done.code in codes, done.stderr[-3000:]
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert result["bench"] == program.replace("_", "-")
        assert result["machine"]["cores"] >= 1
        assert result["machine"]["commit"]
        return result


def write_slices(folder: Path) -> Path:
    """A small collection in `slice`, and the same again: in a folder that is not the repository's."""
    for name in ("slice", "slice-again"):
        write_slice(folder / name, queries_of(KINDS, 1), chars=CHARS)
    return folder
