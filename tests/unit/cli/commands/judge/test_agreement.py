"""`connector judge agreement` as a user calls it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from support.evaluation.judging_folders import grade_all
from typer.testing import CliRunner

from connector.cli.commands.judge import judge_app


def test_two_people_are_held_against_each_other(made: Any) -> None:
    folder, truth = made
    grade_all(folder, truth, "anna")
    grade_all(folder, {pair: min(grade + 1, 3) for pair, grade in truth.items()}, "bo")
    done = CliRunner().invoke(judge_app, ["agreement", "judging", "--json"])
    (found,) = json.loads(done.stdout)["comparisons"]

    assert (found["first"], found["second"], found["within_one"]) == ("anna", "bo", 1.0)
    assert found["lean"] == pytest.approx(np.mean([min(grade + 1, 3) - grade for grade in truth.values()]))
