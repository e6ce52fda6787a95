"""The writing end of a back-fill: updates at the cluster's pace, tried again where that may help.

A document that the application wrote in between is read again. Where its texts are the same, as after a change of a
price, the same passages are written on the new condition; where they are not, it is left to the next look at the
index. So an application never waits for us, and nothing that it wrote is undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from connector.backfill.fields import BackfillPlan, with_others_now
from connector.backfill.in_place.own_writes import OwnWrites
from connector.backfill.pace.sending import PacedSender, blocked_reason
from connector.backfill.pace.throttle import WritePace
from connector.backfill.report import Ledger, count_reasons
from connector.backfill.scan import FoundDocument, read_again
from connector.backfill.too_long import is_too_long, taken_out
from connector.backfill.write import PassageUpdate, UpdateOutcome, build_removal, write_updates
from connector.backfilled import AddedNames
from connector.clusters.rest import RestCluster
from connector.clusters.writing.restored_vectors import STAYS, TOO_LONG
from connector.errors import ClusterUnavailable, IndexBlocked
from connector.ingest.rejects import RejectsFile
from connector.ingest.sources import Row
from connector.settings.sections import IngestSettings

CONFLICT_TRIES = 5  # of one document in one round, as long as its texts stay the same
HOPELESS = 1_000  # documents that were refused while none was taken: then there is no point in going on


class UpdateWriter:
    """Writes updates into one index, and settles in the ledger what became of each document."""

    def __init__(
        self,
        cluster: RestCluster,
        plan: BackfillPlan,
        settings: IngestSettings,
        *,
        ledger: Ledger,
        own: Sequence[OwnWrites],
        pace: WritePace,
        rejects: RejectsFile,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        self._cluster = cluster
        self._plan = plan
        self._ledger = ledger
        self._own = own
        self._rejects = rejects
        self._sender = PacedSender(
            cluster, plan.index, settings, pace, check=check, on_retry=lambda count: ledger.add(retried=count)
        )
        self.reasons: dict[str, int] = {}

    async def write(self, updates: Sequence[PassageUpdate]) -> None:
        """Until each document is settled. Raises ClusterUnavailable where the index takes no writes, or the cluster
        has had too much to do for too long."""
        for tries_left in range(CONFLICT_TRIES - 1, -1, -1):
            if not updates:
                return
            outcomes = await write_updates(self._cluster, self._plan, updates, send=self._sender.send)
            conflicts = self._settle(updates, outcomes)
            updates = await self._look_again(conflicts, is_last=not tries_left)

    def _settle(self, updates: Sequence[PassageUpdate], outcomes: Sequence[UpdateOutcome]) -> list[PassageUpdate]:
        """Count what became of each; those that somebody wrote meanwhile. Raises IndexBlocked."""
        conflicts = []
        for update, outcome in zip(updates, outcomes, strict=True):
            match outcome.kind:
                case "written" | "unchanged":
                    self._settle_written(update, outcome)
                case "conflict":
                    conflicts.append(update)
                case "gone":
                    self._ledger.settle(update.document, "gone")
                case "refused":
                    self.refuse(update.document, outcome.reason)
        if reason := blocked_reason(outcomes):
            raise IndexBlocked(reason)
        return conflicts

    def _settle_written(self, update: PassageUpdate, outcome: UpdateOutcome) -> None:
        if outcome.seq_no is not None:
            self._own[update.document.shard].add(outcome.seq_no)
        self._ledger.add(passages=len(update.passages))
        self._ledger.settle(update.document, "written" if update.passages else "without_text")

    def refuse(self, document: FoundDocument, reason: str) -> None:
        """Count a document that cannot be written, and keep its reason. Raises ClusterUnavailable where none can."""
        count_reasons(self.reasons, [reason])
        values = {"_id": document.doc_id} | ({} if document.routing is None else {"_routing": document.routing})
        self._rejects.keep(Row(values, document.index), reason)
        self._ledger.settle(document, "refused")
        counts = self._ledger.counts
        if counts.refused >= HOPELESS and not counts.written:
            raise ClusterUnavailable(f"the engine refuses every document: {reason}")

    async def refuse_too_long(self, plan: BackfillPlan, documents: Sequence[FoundDocument]) -> None:
        """Count documents that are too long for passages, and take out those that some have, of a text or a length that
        they had before. Raises as `write` does."""
        removals: list[tuple[FoundDocument, Sequence[AddedNames]]] = []
        for document in documents:
            names = taken_out(plan, document)
            if not (document.marker or document.own_nested):
                self.refuse(document, TOO_LONG)
            elif names:
                removals.append((document, names))
            else:
                self.refuse(document, STAYS)
        outcomes = await self._sender.send([build_removal(*removal) for removal in removals]) if removals else []
        for (document, _), outcome in zip(removals, outcomes, strict=True):
            self._settle_removed(document, outcome)
        if reason := blocked_reason(outcomes):
            raise IndexBlocked(reason)

    def _settle_removed(self, document: FoundDocument, outcome: UpdateOutcome) -> None:
        match outcome.kind:
            case "written" | "unchanged":
                written = document if outcome.seq_no is None else replace(document, seq_no=outcome.seq_no)
                self._own[document.shard].add(written.seq_no)
                self.refuse(written, TOO_LONG)
            case "conflict":
                self._ledger.settle(document, "contested")
            case "gone":
                self._ledger.settle(document, "gone")
            case "refused":
                self.refuse(document, outcome.reason)

    async def _look_again(self, conflicts: Sequence[PassageUpdate], *, is_last: bool) -> list[PassageUpdate]:
        """Those of the updates that fit their documents as they are now, on the new condition."""
        if not conflicts:
            return []
        plan = await with_others_now(self._cluster, self._plan)
        now = await read_again(self._cluster, plan, [update.document for update in conflicts])
        again = []
        for update, found in zip(conflicts, now, strict=True):
            if found is None:
                self._ledger.settle(update.document, "gone")
            elif is_last or found.texts != update.document.texts or is_too_long(plan, found, len(update.passages)):
                self._ledger.settle(found, "contested")
            else:
                again.append(replace(update, document=found))
        return again
