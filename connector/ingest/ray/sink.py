"""Write tasks of Ray Data: encoded documents into the index, and all accounts of the job added up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ray.data import Datasink
from ray.data.block import BlockAccessor

from connector.errors import ConnectorError
from connector.ingest.ray.account import PartAccount
from connector.ingest.ray.parcels import unpack
from connector.ingest.ray.part import JobPart
from connector.ingest.rejects import reject_line
from connector.ingest.sources import Row
from connector.types import IndexedDocument

EncodedPairs = list[tuple[Row, IndexedDocument]]


class WriteTasks(Datasink[PartAccount]):  # type: ignore[misc]  # Ray's types are not read
    """Each write task writes its documents, trying again what can be tried again, and returns its account. A task that
    is run again, since its process was lost, writes the same documents again, and counts them once."""

    def __init__(self, part: JobPart) -> None:
        self._part = part
        self.total: PartAccount | None = None

    @property
    def min_rows_per_write(self) -> int:
        return self._part.settings.ingest.group_documents

    def get_name(self) -> str:
        return "Index"

    def write(self, blocks: Iterable[Any], ctx: Any) -> PartAccount:
        account, group = PartAccount(), self._part.settings.ingest.group_documents
        waiting: EncodedPairs = []
        for block in blocks:
            for kind, content in unpack(BlockAccessor.for_block(block).to_arrow()):
                if kind == "account":
                    account.add(content)
                    continue
                waiting.append(content)
                if len(waiting) >= group:
                    self._write(waiting, account)
                    waiting = []
        self._write(waiting, account)
        self._part.board.add(
            written=account.written, unchanged=account.unchanged, failed=account.failed, passages=account.passages
        )
        return account

    def on_write_complete(self, write_result: Any) -> None:
        total = PartAccount()
        for account in write_result.write_returns:
            total.add(account)
        self.total = total

    def _write(self, pairs: EncodedPairs, account: PartAccount) -> None:
        if not pairs:
            return

        def retried(count: int) -> None:
            account.retried += count

        documents = [document for _, document in pairs]
        try:
            outcomes = self._part.run(lambda index: index.write(documents), retried)
        except ConnectorError as error:
            self._part.stop(error)  # the documents are left as unfinished; the next run takes them up
            return
        for (row, document), outcome in zip(pairs, outcomes, strict=True):
            if outcome.error is None:
                account.written += 1
                account.passages += len(document.passages)
            else:
                account.reject(reject_line(row, outcome.error))
