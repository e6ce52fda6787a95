"""The models of a worker, by name: the first reranker from the start, the others from their first use.

Together they stay within a bound of memory."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from connector.errors import ConnectorError
from connector.event_loop import in_own_thread
from connector.models.encoder import LocalEncoder
from connector.models.model import Model, Piece
from connector.models.scorer import Scorer

Task = Literal["rerank", "embed"]
WARM_UP_QUERY = "is it ready?"
WARM_UP_PASSAGES = 6  # enough tokens for a first estimate of the speed
NoteFirst = Callable[[Model, Sequence[str], Sequence[Piece], float], None]
log = logging.getLogger(__name__)


class UnknownModel(Exception):
    """No model of that name does this."""


class NotLoaded(Exception):
    """A model that is still loading, or could not be loaded; `passing` where the same may work in a moment."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model that can be had: what it does, its name, how it is loaded, and about how many bytes of memory it will
    take."""

    task: Task
    name: str
    load: Callable[[], Model]
    count_bytes: Callable[[], int] = lambda: 0


@dataclass(eq=False)
class _Slot:
    """A model on offer, and the model itself once it is loaded; `used` grows with each use."""

    offered: OfferedModel
    stays: bool
    model: Model | None = None
    failure: str | None = None
    bytes: int = 0
    used: int = 0
    loading: asyncio.Task[Model] | None = field(default=None, repr=False)


class Models:
    """Loads what is asked for and forgets the least recently used. For one event loop."""

    def __init__(
        self,
        offered: Sequence[OfferedModel],
        *,
        max_bytes: int,
        note_first: NoteFirst = lambda model, texts, pieces, took_s: None,
    ) -> None:
        """The first is the one that `start` loads, and that stays. The first of each task serves requests that
        name none. What a model took for a first batch of texts is told to `note_first`."""
        self._slots = [_Slot(model, stays=at == 0) for at, model in enumerate(offered)]
        self._max_bytes, self._note_first = max_bytes, note_first
        self._uses = 0
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> str:
        """Load the first model. Why it could not be loaded, which `first` then says as well; "" where it was."""
        try:
            await self._load(self._slots[0])
        except Exception as error:  # of any library that loading calls; every caller is told, and the process lives on
            log.error("cannot load the model: %s", _words(error), exc_info=_unless_known(error))
            return _words(error)
        log.info("ready: %s", self._slots[0].offered.name)
        return ""

    def first(self) -> Scorer:
        """The reranker that was loaded at the start. Raises NotLoaded."""
        slot = self._slots[0]
        if slot.failure:
            raise NotLoaded(f"the model could not be loaded: {slot.failure}")
        if slot.model is None:
            raise NotLoaded("the model is still loading; try again in a few seconds", passing=True)
        assert isinstance(slot.model, Scorer)
        return slot.model

    async def scorer(self, name: str | None, *, timeout_s: float) -> Scorer:
        """The reranker of that name. Raises UnknownModel, NotLoaded."""
        first = self.first()
        slot = self._find("rerank", name)
        model = first if slot is self._slots[0] else await self._get(slot, timeout_s)
        assert isinstance(model, Scorer)
        return model

    async def encoder(self, name: str | None, *, timeout_s: float) -> LocalEncoder:
        """The encoder of that name. Raises UnknownModel, NotLoaded."""
        model = await self._get(self._find("embed", name), timeout_s)
        assert isinstance(model, LocalEncoder)
        return model

    def list(self) -> Sequence[tuple[OfferedModel, bool]]:
        """What can be had, and whether it is loaded."""
        return [(slot.offered, slot.model is not None) for slot in self._slots]

    def loaded(self) -> Sequence[Model]:
        return [slot.model for slot in self._slots if slot.model is not None]

    def bytes(self) -> int:
        """About what the loaded models take."""
        return sum(slot.bytes for slot in self._slots if slot.model is not None)

    def close(self) -> None:
        for slot in self._slots:
            if slot.loading:
                slot.loading.cancel()

    def _find(self, task: Task, name: str | None) -> _Slot:
        """The slot of that name. Where there is one model alone it serves every name: clients of hosted services must
        give one."""
        slots = [slot for slot in self._slots if slot.offered.task == task]
        named = [slot for slot in slots if name and slot.offered.name == name.rstrip("/").rsplit("/", 1)[-1]]
        exact = [slot for slot in slots if slot.offered.name == name]
        if not slots:
            raise UnknownModel(f"this worker has no model to {task} with")
        if found := exact or named or (slots if len(slots) == 1 or not name else []):
            return found[0]
        have = ", ".join(slot.offered.name for slot in slots)
        raise UnknownModel(f"this worker has no model {name!r} to {task} with, but {have}; add it in worker.models")

    async def _get(self, slot: _Slot, timeout_s: float) -> Model:
        self._uses += 1
        slot.used = self._uses
        if slot.model is not None:
            return slot.model
        if slot.loading is None or slot.loading.done():
            slot.loading = asyncio.create_task(self._load(slot))
        await asyncio.wait([slot.loading], timeout=timeout_s)
        if not slot.loading.done():
            raise NotLoaded(f"model {slot.offered.name!r} is still loading; try again in a few seconds", passing=True)
        if error := slot.loading.exception():
            log.error("cannot load %s: %s", slot.offered.name, _words(error), exc_info=_unless_known(error))
            raise NotLoaded(f"model {slot.offered.name!r} could not be loaded: {_words(error)}") from error
        return slot.loading.result()

    async def _load(self, slot: _Slot) -> Model:
        try:
            async with self._one_at_a_time:
                slot.bytes = await asyncio.to_thread(slot.offered.count_bytes)
                self._make_room(slot)
                # a worker that stops does not wait for it
                model = await in_own_thread(_load_warm, slot.offered, self._note_first)
        except Exception as error:  # of any library that loading calls; it is raised again, and callers are told why
            slot.failure = _words(error)
            raise
        slot.model, slot.failure = model, None
        return model

    def _make_room(self, wanted: _Slot) -> None:
        """Forget models, the least recently used first, until the wanted one fits. Raises NotLoaded where it cannot."""
        staying = sum(slot.bytes for slot in self._slots if slot.stays and slot is not wanted)
        if not wanted.stays and staying + wanted.bytes > self._max_bytes:
            raise NotLoaded(
                f"it takes {wanted.bytes} bytes, and {staying} are taken for good; raise worker.max_models_bytes"
            )
        for slot in sorted(self._slots, key=lambda slot: slot.used):
            if self.bytes() + wanted.bytes <= self._max_bytes:
                break
            if slot.model is not None and not slot.stays:
                log.info("forgetting %s: %s needs its memory", slot.offered.name, wanted.offered.name)
                slot.model = slot.loading = None
                gc.collect()


def _load_warm(offered: OfferedModel, note_first: NoteFirst) -> Model:
    """The model, after a short first batch, which takes longer for its size than those that follow, and a second, which
    says how fast it is."""
    model = offered.load()
    for turn, times in (("first", 1), ("second", 8)):
        passages = [
            f"The {turn} batch has passage {number}, which warms up the model before requests come. " * times
            for number in range(WARM_UP_PASSAGES)
        ]
        if isinstance(model, Scorer):
            pieces = model.plan(WARM_UP_QUERY, passages).pieces
        elif isinstance(model, LocalEncoder):
            pieces = model.plan(passages).pieces
        else:
            return model
        began = time.monotonic()
        model.run(pieces)
        took_s = time.monotonic() - began
    note_first(model, passages, pieces, took_s)
    return model


def _unless_known(error: BaseException) -> BaseException | None:
    """The error whose traceback the log needs: none where its words were written to be enough, unless the level is
    debug."""
    is_known = isinstance(error, ConnectorError | NotLoaded)
    return None if is_known and not log.isEnabledFor(logging.DEBUG) else error


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
