"""All rerank stages, one after the other, each within its part of the time that is left."""

from __future__ import annotations

from collections.abc import Sequence

from connector.search.legs.ask import FirstStage
from connector.search.run import SearchRun
from connector.search.stages.stage import RerankStage, StageResult
from connector.types import Ranking


async def run_stages(
    run: SearchRun, stages: Sequence[RerankStage], found: FirstStage, fused: Ranking
) -> tuple[StageResult, ...]:
    """What each stage that ran made of the order; one that failed leaves the order to the next as it was.

    The time that is left is shared equally by the stages that are left, so that a slow one takes nothing from a later
    one, and a fast one leaves it more."""
    results: list[StageResult] = []
    order = before = fused
    for position, stage in enumerate(stages):
        if not run.request.reranks or not order:
            break
        result = await stage.run(
            run,
            found,
            order,
            before,
            window=run.request.windows[position],
            share=run.part_of_rest(1 / (len(stages) - position)),
        )
        if result:
            results.append(result)
            order, before = result.order, result.final
    return tuple(results)
