"""All rerank stages, one after the other, each within its part of the time that is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connector.search.legs.ask import FirstStage
from connector.search.run import SearchRun
from connector.search.stages.stage import RerankStage, StageResult
from connector.types import Ranking, StageOutcome


@contextmanager
def expected(run: SearchRun, stages: Sequence[RerankStage]) -> Iterator[None]:
    """Around a search: its rerankers know from the start that it is going to ask them."""
    if run.request.reranks:
        for stage in stages:
            run.turns[stage.name] = stage.reranker.client.expect(timeout_s=run.left_s(run.ranking_share))
    try:
        yield
    finally:
        for turn in run.turns.values():
            turn.close()


async def run_stages(
    run: SearchRun, stages: Sequence[RerankStage], found: FirstStage, fused: Ranking
) -> tuple[StageResult, ...]:
    """What each stage that ran made of the order; one that failed, or has a rule against running, leaves the order to
    the next as it was.

    Of the time that is left each has its part, so that a slow one takes nothing from a later one, and a fast one leaves
    it more."""
    results: list[StageResult] = []
    order = before = fused
    shares = [stage.share for stage in stages]
    for position, stage in enumerate(stages):
        if not run.request.reranks or not order:
            break
        window = run.request.windows[position]
        if why := stage.why_left_out(run, found, order, window=window):
            run.stages[stage.name] = StageOutcome(False, 0, why=why)
            run.turns[stage.name].close()
            continue
        part = shares[position] / sum(shares[position:])
        result = await stage.run(run, found, order, before, window=window, share=run.part_of_rest(part))
        if result:
            results.append(result)
            order, before = result.order, result.final
    return tuple(results)
