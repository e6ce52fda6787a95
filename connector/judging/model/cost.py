"""What a job asks of an endpoint, before it is asked, and the caps on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MILLION = 1_000_000
CHARS_PER_TOKEN = 4  # of Latin letters; of others a token each is counted
MESSAGE_TOKENS = 4  # what a message costs beside its text


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a million tokens, in whatever currency; None where nobody said."""

    of_input: float | None = None
    of_output: float | None = None

    @property
    def known(self) -> bool:
        return self.of_input is not None or self.of_output is not None

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * (self.of_input or 0.0) + tokens_out * (self.of_output or 0.0)) / MILLION


@dataclass(frozen=True, slots=True)
class Tokens:
    """So many tokens out to the model and back."""

    sent: int = 0
    received: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.sent + other.sent, self.received + other.received)

    def __sub__(self, other: Tokens) -> Tokens:
        return Tokens(self.sent - other.sent, self.received - other.received)


def estimate_tokens(messages: Sequence[Mapping[str, str]]) -> int:
    """About how many tokens messages have, rather too many than too few."""
    return sum(MESSAGE_TOKENS + _tokens(message["content"]) for message in messages)


def _tokens(text: str) -> int:
    plain = sum(character.isascii() for character in text)
    return -(-plain // CHARS_PER_TOKEN) + len(text) - plain


@dataclass(slots=True)
class TokenBudget:
    """What may be asked. A request that would break a cap is not sent; what is under way counts as if it took all that
    it may."""

    max_requests: int | None = None
    max_cost: float | None = None
    prices: Prices = field(default_factory=Prices)
    requests: int = 0
    spent: Tokens = field(default_factory=Tokens)  # with what is reserved for requests under way

    @property
    def cost(self) -> float:
        return self.prices.cost(self.spent.sent, self.spent.received)

    def reserve(self, tokens: Tokens) -> bool:
        """Whether a request that takes at most so much may be sent; it then counts."""
        after = self.spent + tokens
        if self.max_requests is not None and self.requests >= self.max_requests:
            return False
        if self.max_cost is not None and self.prices.cost(after.sent, after.received) > self.max_cost:
            return False
        self.requests += 1
        self.spent = after
        return True

    def settle(self, reserved: Tokens, taken: Tokens) -> None:
        """What the request took in the end."""
        self.spent = self.spent - reserved + taken
