"""Programs of bench/, run small."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.evaluation.slices import CORPUS, rows, write_slice
from support.programs.command import Launcher

BENCH = Path(__file__).parents[3] / "bench"
KINDS = ("code", "paraphrase", "negation")
CHARS = 60  # of a document's text: what a model reads is most of what a bench costs


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
    """A small collection in `slice`, and the same again: in a folder that is not the repository's. Of each kind it has
    the query with the fewest judgments."""
    lines = (CORPUS / "qrels.tsv").read_text(encoding="utf-8").splitlines()
    judgments = Counter(line.partition("\t")[0] for line in lines)
    queries = [
        min((row for row in rows("queries.jsonl") if row["kind"] == kind), key=lambda row: judgments[row["_id"]])
        for kind in KINDS
    ]
    for name in ("slice", "slice-again"):
        write_slice(folder / name, queries, chars=CHARS)
    return folder
