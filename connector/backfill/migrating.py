"""Another encoder for an index that was back-filled: its vectors are filled beside those of the first, searches change
over by one write of the mapping's `_meta`, and go back by one.

Until the first are taken out, a search with either encoder finds the vectors that its encoder made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from connector.backfill.engine import engine_of
from connector.backfill.fields import BackfillPlan, put_meta, read_index_mapping
from connector.backfill.planning.plan import ProbedIndex, plan_backfill, probe_index
from connector.backfill.planning.reading import find_indices
from connector.backfill.probe.intent import Versions
from connector.backfill.run import PreparedBackfill
from connector.backfill.scan import needs_work
from connector.backfilled import AddedNames, Backfilled, leaving_from_meta, switch_to_other
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.errors import SettingsError
from connector.event_loop import in_own_thread
from connector.schema import EncoderFingerprint
from connector.settings.sections import Settings
from connector.wiring import load_encoder

JSON = dict[str, Any]
FIRST, SECOND = AddedNames().passages, f"{AddedNames().passages}_2"


@dataclass(frozen=True, slots=True)
class IndexBackfills:
    """The back-fills of one index: what searches use, and what stands beside it."""

    index: str
    used: Backfilled
    other: Backfilled | None
    leaving: bool = False  # the other is being taken out


async def read_backfills(cluster: RestCluster, name: str) -> list[IndexBackfills]:
    """Of every index behind a name. Raises SettingsError where one was never back-filled."""
    return [await _read(cluster, index) for index in await find_indices(cluster, name)]


async def _read(cluster: RestCluster, index: str) -> IndexBackfills:
    meta = (await read_index_mapping(cluster, index)).get("_meta", {})
    used = Backfilled.from_meta(meta)
    if used is None:
        raise SettingsError(f"index {index!r} was not back-filled; fill it first: connector backfill {index}")
    other = next(iter(Backfilled.others_from_meta(meta)), None)
    return IndexBackfills(index, used, other, other is not None and other.names.passages in leaving_from_meta(meta))


async def plan_migration(
    cluster: RestCluster,
    backfills: IndexBackfills,
    encoder: EncoderFingerprint,
    settings: Settings,
    field: str | None = None,
) -> tuple[BackfillPlan, ProbedIndex]:
    """What is to be added beside: the same texts by another encoder, under a name of its own.

    Raises SettingsError where the index is of this encoder already, or changes to a third one."""
    if backfills.used.encoder.same_vectors(encoder):
        raise SettingsError(f"index {backfills.index!r} has vectors of {encoder} already, and searches use them")
    if backfills.other and not backfills.other.encoder.same_vectors(encoder):
        raise SettingsError(
            f"index {backfills.index!r} also has vectors of {backfills.other.encoder}; take them out first: "
            f"connector migrate {backfills.index} --clean"
        )
    taken = backfills.used.names.passages
    name = backfills.other.names.passages if backfills.other else field or (SECOND if taken == FIRST else FIRST)
    if name == taken:
        raise SettingsError(f"--field {name!r} holds the vectors that searches use; give the others another name")
    versions: Versions = "auto" if backfills.used.versions_checked else "internal"
    probed = await probe_index(
        cluster, backfills.index, AddedNames(name), backfills.used.text, backfills.other, versions
    )
    plan = await plan_backfill(cluster, probed, encoder, settings)
    return replace(plan, is_other=True), probed


@asynccontextmanager
async def preparing_migration(
    settings: Settings, field: str | None
) -> AsyncIterator[tuple[list[str], PreparedBackfill]]:
    """What the first step changes, in sentences, and what `fill` needs to take it. Raises ConnectorError."""
    async with engine_of(settings) as cluster:
        found = await read_backfills(cluster, settings.index.name)
        encoder = await in_own_thread(load_encoder, settings)
        encoder.token_offsets(())
        pairs = [await plan_migration(cluster, backfills, encoder.fingerprint, settings, field) for backfills in found]
        plans, probed = [plan for plan, _ in pairs], [probed_index for _, probed_index in pairs]
        changes = [
            line
            for plan, probed_index, backfills in zip(plans, probed, found, strict=True)
            for line in describe_migration(plan, backfills, probed_index.documents)
        ]
        yield changes, PreparedBackfill(cluster, encoder, settings, probed, plans)


def describe_migration(plan: BackfillPlan, backfills: IndexBackfills, documents: int) -> list[str]:
    """What is about to be changed, in sentences for whoever decides."""
    names, encoder = plan.added.names, plan.added.encoder
    return [
        f"index {plan.index} ({documents:,} documents) gets vectors of a second encoder beside those it has:",
        f"- its mapping gets the nested field {names.passages!r} (vectors of {encoder.dims} dimensions by "
        f"{encoder.name}) and the keyword {names.marker!r}",
        f"- searches go on with {backfills.used.encoder.name} in {backfills.used.names.passages!r}, which stays as "
        "it is",
        "- each document gets its passages by an update of these two fields alone, which fails where an application "
        "wrote meanwhile",
    ]


async def count_lacking(cluster: RestCluster, index: str, added: Backfilled) -> int:
    """How many documents have no vectors of that encoder."""
    path, query = index_path(index, "_count"), {"query": needs_work(added)}
    reply = await cluster.client.request("POST", path, body=query, timeout_s=cluster.timeout_s)
    return int(reply["count"])


async def describe_switch(cluster: RestCluster, backfills: IndexBackfills) -> list[str]:
    """What is about to be changed, in sentences. Raises SettingsError where there are no other vectors."""
    other = _require_whole(backfills)
    lacking = await count_lacking(cluster, backfills.index, other)
    lines = [
        f"index {backfills.index}: searches use the vectors of {other.encoder} instead of those of "
        f"{backfills.used.encoder}, which stay; --switch once more takes that back"
    ]
    if lacking:
        lines.append(
            f"- {lacking:,} documents have no vectors of {other.encoder.name} and are found by their words alone until "
            f"then: connector migrate {backfills.index} --encoder {other.encoder.name}"
        )
    return lines


def choose_to_switch(found: Sequence[IndexBackfills]) -> list[IndexBackfills]:
    """Which of the indices behind a name change over: all, or those that a switch did not come to that was cut off."""
    first = found[0].used.encoder
    left = [backfills for backfills in found if not backfills.used.encoder.same_vectors(first)]
    return left or [*found]


async def switch_encoder(cluster: RestCluster, backfills: IndexBackfills) -> IndexBackfills:
    """Let searches use the other vectors, by one write; the same again takes that back. Raises SettingsError where
    there are no others."""
    other = _require_whole(backfills)
    await put_meta(cluster, backfills.index, partial(switch_to_other, name=other.names.passages))
    return await _read(cluster, backfills.index)


def _require_whole(backfills: IndexBackfills) -> Backfilled:
    """The other vectors, if nobody takes them out. Raises SettingsError."""
    other = require_other(backfills)
    if backfills.leaving:
        raise SettingsError(
            f"the vectors of {other.encoder} in index {backfills.index!r} are being taken out; go on with that "
            f"(connector migrate {backfills.index} --clean), or fill them again: connector migrate {backfills.index} "
            "--encoder NAME"
        )
    return other


def require_other(backfills: IndexBackfills) -> Backfilled:
    """The other vectors of an index. Raises SettingsError."""
    if backfills.other is None:
        raise SettingsError(
            f"index {backfills.index!r} has vectors of one encoder only, {backfills.used.encoder}; fill others "
            f"beside them: connector migrate {backfills.index} --encoder NAME"
        )
    return backfills.other
