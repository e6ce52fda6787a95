"""Write tasks of Ray Data: encoded documents into the index, and all accounts of the job added up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ray.data import Datasink
from ray.data.block import BlockAccessor

from connector.errors import ConnectorError
from connector.ingest.ray.account import PartAccount
from connector.ingest.ray.encoding import EncodedPairs
from connector.ingest.ray.parcels import unpack
from connector.ingest.ray.part import JobPart
from connector.ingest.rejects import reject_line


class WriteTasks(Datasink[PartAccount]):  # type: ignore[misc]  # Ray's types are not read
    """Each write task writes its documents, trying again what can be tried again, and returns its account. A task that
    is run again, since its process was lost, writes the same documents again, and counts them once."""

    def __init__(self, part: JobPart) -> None:
        self._part = part
        self.total: PartAccount | None = None

    def get_name(self) -> str:
        return "Index"

    def write(self, blocks: Iterable[Any], ctx: Any) -> PartAccount:
        account = PartAccount()
        for block in blocks:
            for _, (pairs, of_group) in unpack(BlockAccessor.for_block(block).to_arrow()):
                account.add(of_group)
                self._write(pairs, account)
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
