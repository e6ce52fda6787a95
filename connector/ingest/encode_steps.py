"""Many texts encoded in steps of like length, between which a job can stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from connector.models.encoder import Encoder
from connector.types import Vectors

STEP_PASSAGES = 64  # encoded between two looks at whether the job is to stop


def encode_in_steps(
    encoder: Encoder, texts: Sequence[str], stopping: Callable[[], bool]
) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """The vectors [n, dims], in steps of like length; and which of them were made before the job was to stop."""
    vectors = np.empty((len(texts), encoder.fingerprint.dims), dtype=np.float32)
    encoded = np.zeros(len(texts), dtype=np.bool_)
    by_length = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    for start in range(0, len(texts), STEP_PASSAGES):
        if stopping():
            break
        step = by_length[start : start + STEP_PASSAGES]
        vectors[step] = encoder.encode([texts[at] for at in step])
        encoded[step] = True
    return vectors, encoded
