"""The card of a trained model: from what, on what, with which command, and what it measured before and after."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from connector.evaluation.evaluate import Evaluation
from connector.evaluation.gate import Verdict
from connector.evaluation.machine import describe_machine
from connector.models.onnx.agreement import Agreement
from connector.training.options import Options


def build_card(
    options: Options,
    data: Mapping[str, Any],
    trained: Mapping[str, Any],
    evaluation: Evaluation | None,
    verdicts: Sequence[Verdict],
    agreement: Agreement | None,
    command: Sequence[str],
) -> str:
    """The text of README.md in the model's folder."""
    machine = describe_machine()
    parts = [
        _front(options),
        f"# A {options.kind} reranker, fine-tuned from {options.base}",
        "Serve it: `connector worker --model FOLDER`. What it learned from has licences of its own, which hold for "
        "it too.",
        "## Training",
        "```\n" + shlex.join(command) + "\n```",
        _table("setting", asdict(options)),
        _table("data", data),
        f"{trained['rows']} rows, {trained['steps']} steps. nDCG@10 on the queries held back to decide when to "
        "stop, by step: " + ", ".join(f"{step['step']}: {step['ndcg@10']:.4f}" for step in trained["held_back"]),
    ]
    if evaluation:
        parts += ["## Before and after", _measures(evaluation), _gate(verdicts)]
    if agreement:
        parts += [
            "## In eight bits",
            f"{agreement.overlap:.1%} of the first ten passages are those of the original on the sample that every "
            f"export is checked with; {agreement.speedup:.2f} times its speed here.",
        ]
    parts.append(
        f"Made on {machine['processor']}, {machine['cores']} cores; versions: {json.dumps(machine['versions'])}."
    )
    return "\n\n".join(parts) + "\n"


def _front(options: Options) -> str:
    """What model hubs read."""
    return "\n".join(
        [
            "---",
            "library_name: sentence-transformers",
            "pipeline_tag: text-ranking",
            f"base_model: {json.dumps(options.base)}",
            f"tags: [{options.kind}, reranker]",
            "---",
        ]
    )


def _table(title: str, values: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {value} |" for name, value in values.items() if value is not None]
    return "\n".join([f"| {title} | |", "|---|---|", *rows])


def _measures(evaluation: Evaluation) -> str:
    names = evaluation.measures
    rows = [
        f"| {pipeline.name} | " + " | ".join(f"{pipeline.mean(name):.4f}" for name in names) + " |"
        for pipeline in evaluation.pipelines
    ]
    count, name = len(evaluation.collection.queries), evaluation.collection.name
    title = f"{count} queries of {name} that the training did not see, through the real path:"
    return "\n".join([title, "", "| ranking | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|", *rows])


def _gate(verdicts: Sequence[Verdict]) -> str:
    lines = [
        f"- {verdict.pipeline}: {verdict.figure} {verdict.before:.4f} → {verdict.now:.4f}"
        + (f", p {verdict.p:.4f}" if verdict.p is not None else "")
        + f": {'refused' if verdict.broken else 'passed'}"
        for verdict in verdicts
        if verdict.bound is not None and verdict.before is not None
    ]
    return "\n".join(["The gate:", "", *lines])
