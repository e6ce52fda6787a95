"""The queue of requests: who has a place, how long what goes before each takes, how fast the models are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from weakref import WeakKeyDictionary

from connector.models.model import Model, Piece

PATIENCE_S = 30.0  # what a request without a deadline is taken to wait for, when it comes to whose turn it is
RATE_SHARE = 0.2  # what the last batch, if it is full, counts in the estimate of tokens per second
FIRST_FULL = 0.25  # of the token budget has to be in the batch that gives the first estimate
CHARS_PER_TOKEN = 4  # about, before a text is tokenized; note_scale corrects it
SURE = 0.9  # of a budget is planned with: an estimate may be a tenth too short
ALIKE = 1.25  # requests whose lengths differ by no more may take their turns in either order


class Overloaded(Exception):
    """More is waiting than can be scored in time; `retry_after_s` is about when that will have changed."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many requests are waiting; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the worker is, as its callers are told.

    `queue_s`: for how long all that waits will keep it busy. `waiting`: requests for the model under way.
    `chars_per_s`: how many characters of passages the model gets done in a second, of each passage at most `max_chars`;
    None before its speed is known."""

    queue_s: float
    waiting: int
    chars_per_s: float | None = None
    max_chars: int | None = None


@dataclass(eq=False)
class QueuedRequest:
    """A request's place in the queue: for which model, when its answer is of no use any more, about how many tokens it
    has yet to run, and how many characters it came with."""

    model: Model
    deadline: float | None
    tokens: float
    scale: float = 1.0  # tokens to run for each that is guessed from a text's length
    chars: int = 0
    arrived: float = field(default_factory=time.monotonic)
    began: float | None = None  # its first batch
    model_s: float = 0.0  # how long the batches ran that it was part of, less what ran beside them

    @property
    def due(self) -> float:
        """When it comes to whose turn it is."""
        return self.arrived + PATIENCE_S if self.deadline is None else self.deadline

    @property
    def left_s(self) -> float | None:
        """Seconds until the deadline, none below 0; None without one."""
        return None if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)

    @property
    def queue_s(self) -> float | None:
        """For how long it waited for its first batch; None for one that had none."""
        return None if self.began is None else self.began - self.arrived


class RequestQueue:
    """The requests under way, of any models, and what is known of how long they take."""

    def __init__(self, *, max_waiting: int, max_waiting_chars: int, max_wait_s: float) -> None:
        """At most so many requests are under way, with so many characters, and none that would have to wait for
        `max_wait_s`."""
        self.changed = threading.Condition()  # guards places, and what a batcher makes of them
        self.places: list[QueuedRequest] = []
        self.rates: WeakKeyDictionary[Model, float] = WeakKeyDictionary()  # tokens per second lately
        self._scales: WeakKeyDictionary[Model, float] = WeakKeyDictionary()
        self._max_waiting, self._max_waiting_chars, self._max_wait_s = max_waiting, max_waiting_chars, max_wait_s

    @property
    def under_way(self) -> int:
        """Requests that have been admitted and not been answered."""
        return len(self.places)

    def oldest_s(self) -> float:
        """For how long the oldest request has waited for its first batch."""
        with self.changed:
            return max((time.monotonic() - place.arrived for place in self.places if place.began is None), default=0.0)

    def load(self, model: Model | None) -> Load:
        """How busy the worker is, for whoever asks for this model."""
        with self.changed:
            queue_s = sum(map(self._takes_s, self.places))
            waiting = sum(model in (None, place.model) for place in self.places)
        rate = self.rates.get(model) if model else None
        if model is None or not rate:
            return Load(queue_s, waiting)
        chars_per_s = rate * CHARS_PER_TOKEN / max(self._scales.get(model, 1.0), 1e-3)
        return Load(queue_s, waiting, chars_per_s, model.max_length * CHARS_PER_TOKEN)

    @contextmanager
    def admitted(self, model: Model, texts: Sequence[str], budget_s: float | None = None) -> Iterator[QueuedRequest]:
        """A place in the queue for a request with these texts. Raises Overloaded where it is full, or too long."""
        scale = self._scales.get(model, 1.0)
        deadline = None if budget_s is None else time.monotonic() + budget_s
        place = QueuedRequest(model, deadline, scale * _guess(model, texts), scale, sum(map(len, texts)))
        with self.changed:
            ahead_s, longest_s = self._ahead_s(place), self._max_wait_s
            if budget_s is not None:
                # with half of its time left a long request has a part of it scored; one that nobody waits for by then
                # has nothing
                longest_s = SURE * budget_s - min(self._takes_s(place), SURE * budget_s / 2)
            if self._is_full(place) or ahead_s > longest_s:
                raise Overloaded(max(1, ceil(ahead_s)))
            self.places.append(place)
        try:
            yield place
        finally:
            with self.changed:
                self.places.remove(place)

    def release(self, place: QueuedRequest, texts: Iterable[str]) -> None:
        """Some of the texts that a place was taken for need not run after all."""
        with self.changed:
            place.tokens -= place.scale * _guess(place.model, texts)

    def note_first(self, model: Model, texts: Sequence[str], pieces: Sequence[Piece], took_s: float) -> None:
        """What is known of a model before its first request: how long it took for what became of these texts."""
        self.note_speed(model, took_s, sum(piece.length for piece in pieces))
        self.note_scale(model, texts, pieces)

    def note_speed(self, model: Model, took_s: float, tokens: int) -> None:
        """How fast the model is; a small batch, which is slower by the token, counts as little as it is."""
        full = min(tokens / model.batch_tokens, 1.0)
        measured, known = tokens / max(took_s, 1e-6), self.rates.get(model)
        if known:
            self.rates[model] = known + RATE_SHARE * full * (measured - known)
        elif full >= FIRST_FULL:
            self.rates[model] = measured

    def note_scale(self, model: Model, texts: Sequence[str], pieces: Sequence[Piece]) -> None:
        """How far a guess is from what has to run: the query goes with each passage of a cross-encoder, and what late
        interaction remembers need not run."""
        if guessed := _guess(model, texts):
            measured = sum(piece.length for piece in pieces) / guessed
            known = self._scales.get(model, measured)
            self._scales[model] = known + RATE_SHARE * (measured - known)

    def _is_full(self, place: QueuedRequest) -> bool:
        """Whether memory has no room for one more: a request that comes alone is always taken."""
        chars = place.chars + sum(other.chars for other in self.places)
        return len(self.places) >= self._max_waiting or (bool(self.places) and chars > self._max_waiting_chars)

    def _ahead_s(self, place: QueuedRequest) -> float:
        """About how many seconds of batches run before a request is done, by that kind of turn which is better for it.

        In every other batch those go before it that are due earlier, in the batches between those that take about as
        long or less. Until its own turn comes in the one kind, the other kind gets as much again done of what goes
        before it there alone."""
        own_s = self._takes_s(place)
        both_s = earlier_s = shorter_s = 0.0
        for other in self.places:
            other_s = self._takes_s(other)
            is_earlier, is_shorter = other.due <= place.due, other_s <= ALIKE * own_s
            both_s += other_s * (is_earlier and is_shorter)
            earlier_s += other_s * (is_earlier and not is_shorter)
            shorter_s += other_s * (is_shorter and not is_earlier)
        by_deadline_s = both_s + earlier_s + min(shorter_s, both_s + earlier_s + own_s)
        by_length_s = both_s + shorter_s + min(earlier_s, both_s + shorter_s + own_s)
        return min(by_deadline_s, by_length_s)

    def _takes_s(self, place: QueuedRequest) -> float:
        """What a request has yet to run, in seconds; 0 before its model's speed is known."""
        rate = self.rates.get(place.model)
        return place.tokens / rate if rate else 0.0


def _guess(model: Model, texts: Iterable[str]) -> int:
    """About how many tokens the texts have, before they are tokenized."""
    return sum(min(len(text) // CHARS_PER_TOKEN + 1, model.max_length) for text in texts)
