"""The encoder of words for commands: a plug-in, `encoder.kind=words`, whose models are called words-8, words-12 and so
on by their dimensions. It costs next to nothing, and two of them make other vectors and other passages of a text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from support.indices.backfills import WordEncoder
from support.programs.plugins import write_package

from connector.schema import EncoderFingerprint

TESTS = Path(__file__).parents[2]
TOKENS_PER_DIMENSION = 8


def open_encoder(settings: Any, options: Any) -> WordEncoder:
    """What the entry point names."""
    dims = int(settings.model.rpartition("-")[2])
    return WordEncoder(EncoderFingerprint(settings.model, f"words-{dims}", dims, dims * TOKENS_PER_DIMENSION))


def install_word_plugin(folder: Path) -> None:
    """Write the plug-in's package into a folder, and let the processes that are started from now on find it."""
    entry_points = {"hybrid_search_connector.encoders": {"words": "support.programs.word_plugin:open_encoder"}}
    write_package(folder, "words-plugin", "1.0", entry_points, {})
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(part for part in (str(folder), str(TESTS), before) if part)
