"""What there is to follow behind a name: vectors that a back-fill put into an index, and such that stand beside one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connector.backfill.fields import read_index_mapping
from connector.backfill.migrating import FIRST
from connector.backfill.planning.reading import find_indices
from connector.backfilled import Backfilled, leaving_from_meta
from connector.clusters.beside.vectors_index import vectors_name
from connector.clusters.rest import RestCluster
from connector.errors import SettingsError
from connector.schema import EncoderFingerprint, IndexSchema
from connector.settings.sections import Settings


@dataclass(frozen=True, slots=True)
class InPlaceVectors:
    """Those of one encoder in the index itself: an index that changes its encoder has those of two."""

    index: str
    added: Backfilled
    is_other: bool

    @property
    def encoder(self) -> EncoderFingerprint | None:
        return self.added.encoder

    @property
    def name(self) -> str:
        """What they are called in messages and files, whichever of two encoders searches use."""
        field = self.added.names.passages
        return self.index if field == FIRST else f"{self.index}.{field}"

    @property
    def key(self) -> str:
        return f"{self.name} {self.added.generation}"


@dataclass(frozen=True, slots=True)
class BesideVectors:
    """Those in an index of ours, beside the one that is followed."""

    index: str
    beside: str
    schema: IndexSchema

    @property
    def encoder(self) -> EncoderFingerprint | None:
        return self.schema.encoder

    @property
    def name(self) -> str:
        return self.index

    @property
    def key(self) -> str:
        return f"{self.index} {self.beside} {self.encoder}"


VectorsToFollow = InPlaceVectors | BesideVectors


@dataclass(frozen=True, slots=True)
class FoundToFollow:
    """What there is, the indices that have nothing to follow, and those of which all is being taken out."""

    vectors: Sequence[VectorsToFollow]
    without: Sequence[str]
    leaving: Sequence[str]

    def check(self, name: str) -> None:
        """Raises SettingsError where there is nothing."""
        if self.vectors:
            return
        if self.leaving:
            raise SettingsError(
                f"the vectors of index {self.leaving[0]!r} are being taken out; run that again (connector backfill "
                f"{self.leaving[0]} --undo), or fill them again: connector backfill {self.leaving[0]}"
            )
        index = self.without[0] if self.without else name
        raise SettingsError(f"index {index!r} was not back-filled; fill it first: connector backfill {index}")


async def find_to_follow(cluster: RestCluster, settings: Settings) -> FoundToFollow:
    """All of it, by one look at each index. Raises ClusterError."""
    vectors: list[VectorsToFollow] = []
    without, leaving = [], []
    for index in await find_indices(cluster, settings.index.name):
        meta = (await read_index_mapping(cluster, index)).get("_meta", {})
        used, others = Backfilled.from_meta(meta), Backfilled.others_from_meta(meta)
        gone = leaving_from_meta(meta)
        in_place = [InPlaceVectors(index, used, is_other=False)] if used else []
        in_place += [InPlaceVectors(index, other, is_other=True) for other in others]
        staying = [found for found in in_place if found.added.names.passages not in gone]
        if in_place and not staying:
            leaving.append(index)
        elif in_place:
            vectors += staying
        elif beside := await _find_beside(cluster, settings, index):
            vectors.append(beside)
        else:
            without.append(index)
    return FoundToFollow(vectors, without, leaving)


async def _find_beside(cluster: RestCluster, settings: Settings, index: str) -> BesideVectors | None:
    named = settings.index.beside
    try:
        opened = await cluster.open_vectors(named or vectors_name(index))
    except SettingsError:
        if named:
            raise
        return None
    if opened is None or opened[1].index != index:
        return None
    return BesideVectors(index, named or vectors_name(index), opened[0].schema)
