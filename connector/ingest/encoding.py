"""Groups of documents -> documents with passages and vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from connector.ingest.groups import DocumentGroup
from connector.ingest.passages import cut
from connector.ingest.sources import Row
from connector.models.encoder import Encoder
from connector.schema import IndexSchema
from connector.types import IndexedDocument, Vectors

STEP_PASSAGES = 64  # encoded between two looks at whether the job is to stop
NO_NUMBER = "the encoder gave a vector with NaN or infinity for it"


@dataclass(frozen=True, slots=True)
class EncodedGroup:
    """What was encoded of a group: its documents with the rows that they come from, and the rows that got vectors that
    cannot be right. What is in neither was left when the job was to stop."""

    rows: list[Row]
    documents: list[IndexedDocument]
    refused: list[Row]


class GroupEncoder:
    """Cuts documents into passages as the index has them, and encodes these."""

    def __init__(self, encoder: Encoder, schema: IndexSchema, stopped: Callable[[], bool] = lambda: False) -> None:
        self._encoder = encoder
        self._schema = schema
        self._stopped = stopped
        limit = encoder.fingerprint.max_tokens
        self._max_tokens = min(schema.passages.max_tokens or limit, limit)

    def encode(self, group: DocumentGroup) -> EncodedGroup:
        """The documents that were encoded, with passages and vectors; only some where the job is to stop."""
        cuts = cut(
            group.documents, self._schema, max_tokens=self._max_tokens, token_offsets=self._encoder.token_offsets
        )
        texts = [passage.text for passages in cuts for passage in passages]
        vectors, encoded = encode_in_steps(self._encoder, texts, self._stopped)
        finite: npt.NDArray[np.bool_] = np.all(np.isfinite(vectors), axis=1)
        done, start = EncodedGroup([], [], []), 0
        for at, passages in enumerate(cuts):
            own = slice(start, start + len(passages))
            start = own.stop
            if not encoded[own].all():
                continue
            if finite[own].all():
                done.rows.append(group.rows[at])
                done.documents.append(IndexedDocument(group.documents[at], group.hashes[at], passages, vectors[own]))
            else:
                done.refused.append(group.rows[at])
        return done


def encode_in_steps(
    encoder: Encoder, texts: Sequence[str], stopped: Callable[[], bool]
) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """The vectors [n, dims], in steps of like length; and which of them were made before the job was to stop."""
    vectors = np.empty((len(texts), encoder.fingerprint.dims), dtype=np.float32)
    encoded = np.zeros(len(texts), dtype=np.bool_)
    by_length = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    for start in range(0, len(texts), STEP_PASSAGES):
        if stopped():
            break
        step = by_length[start : start + STEP_PASSAGES]
        vectors[step] = encoder.encode([texts[at] for at in step])
        encoded[step] = True
    return vectors, encoded
