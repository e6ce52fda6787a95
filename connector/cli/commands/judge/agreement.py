"""`connector judge agreement`: how far judges agree, and whether they order pipelines alike."""

from __future__ import annotations

import json

from connector.cli.flags.judging import FolderArgument, OrderMeasure
from connector.cli.flags.settings import AsJson
from connector.judging.defaults import MEASURE


def agreement(folder: FolderArgument, measured: OrderMeasure = MEASURE, as_json: AsJson = False) -> None:
    """Compare each judge that is no person with the people, and the people with each other.

    For the pairs that both judged, it shows their grades in a table; Cohen's kappa with quadratic weights, and its
    interval from bootstrap samples of the queries; and whether both put the pooled pipelines in the same order.

    Examples:

        connector judge agreement judging

        connector judge agreement judging --measure RR@10 --json
    """
    from connector.cli.tables.agreement import print_trust
    from connector.evaluation.statistics.measures import check_measures
    from connector.judging.folder import JudgingFolder
    from connector.judging.trust.judges import compare_all, describe

    (measure,) = check_measures([measured])
    opened = JudgingFolder.open(folder)
    trust = compare_all(opened.grades().read(), opened.runs(), measured=measure)
    if as_json:
        print(json.dumps(describe(trust), ensure_ascii=False))
    else:
        print_trust(trust)
