"""Actors that encode: each drops what the index has unchanged, and gives the rest passages and vectors."""

from __future__ import annotations

from functools import cached_property

import pyarrow as pa

from connector.errors import ConnectorError
from connector.ingest.encoding import NO_NUMBER, GroupEncoder
from connector.ingest.groups import DocumentGroup
from connector.ingest.ray.account import PartAccount
from connector.ingest.ray.parcels import pack, unpack
from connector.ingest.ray.part import JobPart
from connector.ingest.rejects import reject_line
from connector.ingest.sources import Row
from connector.types import IndexedDocument
from connector.wiring import load_encoder

EncodedPairs = list[tuple[Row, IndexedDocument]]


class EncodeDocuments:
    """A group of documents in; out what is to be written of it, and its account. Once the job is to stop, documents are
    left as they are."""

    def __init__(self, part: JobPart) -> None:
        self._part = part
        self._account = PartAccount()

    def __call__(self, table: pa.Table) -> pa.Table:
        ((_, (documents, self._account)),) = unpack(table)
        group, pairs = DocumentGroup(), EncodedPairs()
        for document in documents:
            group.add(*document)
        try:
            if documents and not self._part.board.stopping:
                pairs = self._encode(group)
        except ConnectorError as error:
            self._part.stop(error)
        return pack([("encoded", (pairs, self._account))])

    def _encode(self, group: DocumentGroup) -> EncodedPairs:
        encoder = self._encoder
        changed = self._part.run(lambda index: index.changed(group), self._retried)
        self._account.unchanged += len(group.documents) - len(changed.documents)
        encoded = encoder.encode(changed)
        for row in encoded.refused:
            self._account.reject(reject_line(row, NO_NUMBER))
        return list(zip(encoded.rows, encoded.documents, strict=True))

    @cached_property
    def _encoder(self) -> GroupEncoder:
        """Loaded with the first documents, so that what is wrong with it stops the job and does not start it anew."""
        encoder = load_encoder(self._part.settings)
        self._part.check_encoder(encoder.fingerprint)
        return GroupEncoder(encoder, self._part.schema)

    def _retried(self, count: int) -> None:
        self._account.retried += count
