"""`connector judge status`: how far the judging is, how far it can be trusted, and what so many queries can show."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from connector.cli.flags.judging import FolderArgument
from connector.cli.flags.settings import AsJson
from connector.evaluation.defaults import CUTOFF
from connector.judging.defaults import DIFFERENCE

MeasureName = Annotated[str | None, typer.Option(help="The measure that pipelines are compared by. [nDCG@k]")]
JudgedDepth = Annotated[
    int, typer.Option("-k", "--k", min=1, help="How many documents of a ranking have to be judged.")
]
BaselineName = Annotated[
    str | None, typer.Option("--baseline", "-b", help="The pipeline that others are compared with. [the first by name]")
]
WishedDifference = Annotated[
    float, typer.Option(min=0.0001, max=1, help="The difference of the measure that is to be shown.")
]


def status(
    folder: FolderArgument,
    k: JudgedDepth = CUTOFF,
    measure: MeasureName = None,
    baseline: BaselineName = None,
    difference: WishedDifference = DIFFERENCE,
    as_json: AsJson = False,
) -> None:
    """Say what is judged, by whom, how far the judges agree, what so many queries can show, and what to do next.

    The smallest difference is the one that 80 of 100 samples of so many queries would show at p 0.05 (Sakai 2016). It
    follows from how much the pooled pipelines differ from query to query. If several are compared with the baseline, p
    is corrected for their number, as in connector eval.

    Examples:

        connector judge status judged

        connector judge status judged --difference 0.05 --baseline lexical

        connector judge status judged --json
    """
    from connector.cli.tables.status import print_status
    from connector.evaluation.statistics.measures import check_measures
    from connector.judging.folder import JudgingFolder
    from connector.judging.next_step import advise
    from connector.judging.status import read_status
    from connector.judging.trust.judges import compare_all, describe

    (measured,) = check_measures([measure or f"nDCG@{k}"])
    opened = JudgingFolder.open(folder)
    found = read_status(opened, measured=measured, k=k, baseline=baseline, wished=difference)
    trust = compare_all(opened.grades().read(), opened.runs(), measured=measured)
    if not as_json:
        print_status(found, trust)
        return
    derived = {
        "missing_pairs": found.missing_pairs,
        "more_queries": found.more_queries,
        "more_grades": found.more_grades,
        "seconds_per_grade": found.seconds_per_grade,
        "agreement": describe(trust),
        "next": advise(found),
    }
    print(json.dumps(asdict(found) | derived, ensure_ascii=False))
