"""Flags that the commands of `connector judge` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The judging folder.")]
OrderMeasure = Annotated[
    str, typer.Option("--measure", help="What pipelines are ordered by, to see whether judges order them alike.")
]
