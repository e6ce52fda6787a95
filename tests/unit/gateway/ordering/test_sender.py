"""Several searches as one `_msearch`: when it is sent, what of it goes as it came, and what its replies are."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from connector.gateway.exchange import BufferedReply, BufferedRequest
from connector.gateway.ordering.sender import Batch, BatchFailed, BatchSender, SingleSender
from connector.gateway.reading.parameters import read_search_parameters

HEAD = b'{"index":"shop"}'


@dataclass
class CountingEngine:
    """Answers each search of an `_msearch` with its place; or with what it is given."""

    reply: BufferedReply | None = None
    asked: list[BufferedRequest] = field(default_factory=list)

    async def send(self, asked: BufferedRequest) -> BufferedReply:
        self.asked.append(asked)
        count = len(asked.body.splitlines()) // 2
        responses = [{"at": at, "status": 200} for at in range(count)]
        return self.reply or BufferedReply(200, (), json.dumps({"took": 1, "responses": responses}).encode())


def batch(engine: CountingEngine, expected: int, *, as_int: bool = False) -> Batch:
    return Batch(engine, b"/_msearch", b"typed_keys", (), as_int, expected)


async def test_all_go_as_one_once_the_last_is_there() -> None:
    engine = CountingEngine()
    together = batch(engine, 3)
    replies = await asyncio.gather(
        together.ask(HEAD, b'{"size":1}'),
        BatchSender(together, HEAD).ask("lexical", b'{"size":2}'),
        together.ask(b"{}", b'{"size" : 3}', ours=False),
    )

    assert [json.loads(reply.body)["at"] for reply in replies] == [0, 1, 2]
    assert [asked.body for asked in engine.asked] == [
        HEAD + b'\n{"size":1}\n' + HEAD + b'\n{"size":2}\n{}\n{"size" : 3}\n'
    ]
    assert engine.asked[0].query_string == b"typed_keys"


async def test_what_comes_late_goes_by_itself() -> None:
    engine = CountingEngine()
    together = batch(engine, 1)
    await together.ask(HEAD, b'{"size":1}')
    late = await BatchSender(together, HEAD).ask("dense", b'{"size":2}')

    assert json.loads(late.body)["at"] == 0
    assert len(engine.asked) == 2


async def test_words_are_not_waited_for() -> None:
    engine = CountingEngine()
    together = batch(engine, 1)
    await BatchSender(together, HEAD).ask("words", b'{"size":0}')

    assert together.is_open
    assert len(engine.asked) == 1


async def test_totals_as_plain_numbers_are_exact_ones() -> None:
    engine = CountingEngine()
    await batch(engine, 1, as_int=True).ask(HEAD, b'{"size":1,"track_total_hits":false}')

    assert engine.asked[0].body.endswith(b'\n{"size":1,"track_total_hits":true}\n')


@pytest.mark.parametrize(
    "reply",
    [
        BufferedReply(400, (), b'{"error":{},"status":400}'),
        BufferedReply(200, (), b'{"took":1,"responses":[]}'),
        BufferedReply(200, (), b"no JSON"),
        BufferedReply(200, (), b'{"took":1,"responses":[{"no":"status"}]}'),
    ],
)
async def test_an_answer_that_is_none_fails_all_of_its_searches(reply: BufferedReply) -> None:
    together = batch(CountingEngine(reply), 2)
    found = await asyncio.gather(together.ask(HEAD, b"{}"), together.ask(HEAD, b"{}"), return_exceptions=True)

    assert all(isinstance(error, BatchFailed) for error in found)
    assert together.failed


async def test_a_parameter_of_the_callers_comes_before_ours() -> None:
    engine = CountingEngine()
    written = read_search_parameters(b"request_cache=true&routing=a&size=3")
    alone = SingleSender(engine, b"/shop/_search", written, ())
    await alone.ask("dense", b"{}", b"request_cache=false&ignore_unavailable=true")

    assert engine.asked[0].query_string == b"request_cache=true&routing=a&ignore_unavailable=true"
