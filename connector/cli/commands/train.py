"""`connector train`: a reranker of one's own, fine-tuned on one's own judgments, and measured before it is used."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import typer

from connector import event_loop
from connector.cli.console import say, stderr
from connector.cli.flags.collection import CollectionFlags
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson, SettingsFlags
from connector.cli.progress import reporter_on_terminal
from connector.cli.stopping import say_when_stopped
from connector.errors import SettingsError
from connector.extras import require
from connector.training.options import DEFAULT_FOLDER, LOSSES, Acceptance, Options, Workplace

if TYPE_CHECKING:
    from connector.evaluation.files.datasets import Collection
    from connector.models.onnx.agreement import Agreement
    from connector.models.scorer import ScorerKind
    from connector.training.outcome import TrainingOutcome

OPTIONS, ACCEPTANCE = Options(), Acceptance()


@dataclass(frozen=True, slots=True)
class ModelFlags:
    """From which model to which."""

    PANEL: ClassVar[str] = "Model"

    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where the model goes; a stopped training goes on there."),
    ] = DEFAULT_FOLDER
    base: Annotated[
        str,
        typer.Option("--base", help="Folder or hub name of the model to begin with: a cross-encoder or an encoder."),
    ] = OPTIONS.base
    kind: Annotated[str, typer.Option(help="cross-encoder or late-interaction; auto: what the base is.")] = "auto"
    max_length: Annotated[int, typer.Option("--max-length", min=16, help="Longest input in tokens.")] = (
        OPTIONS.max_length
    )
    restart: Annotated[bool, typer.Option("--restart", help="Throw away a training that is under way there.")] = False

    def find_kind(self) -> ScorerKind:
        """What the base is, or is to become. Raises SettingsError, ModelError."""
        from connector.models.scorer import detect_kind

        if self.kind not in ("auto", *LOSSES):
            raise SettingsError(f"--kind takes auto, {' or '.join(LOSSES)}, not {self.kind!r}")
        return detect_kind(self.base) if self.kind == "auto" else cast("ScorerKind", self.kind)


@dataclass(frozen=True, slots=True)
class LessonFlags:
    """What is learned: from which candidates, by which loss."""

    PANEL: ClassVar[str] = "What is learned"

    loss: Annotated[
        str,
        typer.Option(
            help="listwise, binary (cross-encoder), contrastive (late interaction); from a teacher's scores: "
            "margin-mse, distill."
        ),
    ] = OPTIONS.loss
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="A reranker whose scores are learned: folder or hub name.")
    ] = OPTIONS.teacher
    teacher_scores: Annotated[
        Path | None,
        typer.Option("--teacher-scores", metavar="FILE", help="Or its scores: JSON Lines of query_id, doc_id, score."),
    ] = None
    negatives: Annotated[int, typer.Option(min=1, max=100, help="Negatives of each query.")] = OPTIONS.negatives
    depth: Annotated[int, typer.Option(min=1, max=1_000, help="Hits of each leg that they are taken from.")] = (
        OPTIONS.depth
    )
    max_share: Annotated[
        float,
        typer.Option(
            "--max-share",
            min=0,
            max=10,
            help="A candidate nearer to the query than this share of its answer's cosine is left out.",
        ),
    ] = OPTIONS.max_share

    def find_teacher(self) -> str | None:
        """A model, or a file of scores. Raises SettingsError where both are given."""
        if self.teacher and self.teacher_scores:
            raise SettingsError("--teacher and --teacher-scores are two ways to say the same; give one of them")
        return self.teacher or (str(self.teacher_scores) if self.teacher_scores else None)


@dataclass(frozen=True, slots=True)
class StepFlags:
    """How the weights change, and when that ends."""

    PANEL: ClassVar[str] = "How it is learned"

    epochs: Annotated[float, typer.Option(min=0.001, help="How often each query is seen.")] = OPTIONS.epochs
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Queries in a step.")] = OPTIONS.batch_size
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", min=0, help="The highest, after the first tenth of the steps.")
    ] = OPTIONS.learning_rate
    layer_decay: Annotated[
        float,
        typer.Option("--layer-decay", min=0.01, max=1, help="The rate of each layer as a share of the next one's."),
    ] = OPTIONS.layer_decay
    evaluations: Annotated[int, typer.Option(min=1, help="How often it is measured meanwhile.")] = OPTIONS.evaluations
    patience: Annotated[int, typer.Option(min=1, help="Stop after so many of these without a gain.")] = OPTIONS.patience
    seed: Annotated[int, typer.Option(help="Of what is left to chance.")] = OPTIONS.seed


@dataclass(frozen=True, slots=True)
class AcceptanceFlags:
    """How the model is measured, and what it must hold."""

    PANEL: ClassVar[str] = "Before and after"

    test_share: Annotated[
        float,
        typer.Option("--test-share", min=0, max=0.9, help="Share of the queries for the measure before and after."),
    ] = ACCEPTANCE.test_share
    test: Annotated[
        Path | None,
        typer.Option(
            "--test", metavar="FOLDER", help="Other judged queries of the same index for it, in BEIR's layout."
        ),
    ] = None
    max_drop: Annotated[
        float,
        typer.Option("--max-drop", min=0, help="How far nDCG@10 may fall below that of the base, and of no rerank."),
    ] = ACCEPTANCE.max_drop
    export: Annotated[bool, typer.Option("--export/--no-export", help="Also make the graph in eight bits.")] = (
        ACCEPTANCE.export
    )

    def read_test(self) -> Collection | None:
        """The other judged queries, where a folder is named."""
        return CollectionFlags(self.test).read() if self.test else None


@with_flag_groups
def train(
    collection: CollectionFlags,
    model: ModelFlags,
    lesson: LessonFlags,
    steps: StepFlags,
    acceptance: AcceptanceFlags,
    settings: SettingsFlags,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a reranker on judged queries, and compare it with its base.

    The documents have to be in the index. Candidates to learn from come from all legs of the configured cluster,
    without those that may be answers nobody judged. Training stops when queries that are held back gain no more. Then
    the command writes the model with a card, and measures base and model through the real path, on queries that the
    training did not see. If it was stopped or killed, the same command goes on.

    Exit code: 0 the model is no worse than its base and than no rerank; 1 it is worse, and should not be used; 2 it
    could not start; 3 the cluster is away.

    Examples:

        connector train judged --index kb --out models/kb

        connector train judged --index kb --base cross-encoder/ms-marco-MiniLM-L6-v2 --loss binary --out models/kb

        connector train judged --index kb --loss margin-mse --teacher BAAI/bge-reranker-v2-m3 --out models/kb
    """
    require("train", "connector train")
    from connector.training.outcome import measure_outcome
    from connector.training.split import part_queries
    from connector.training.train import TrainingJob
    from connector.training.train import train as run

    options = _build_options(model, lesson, steps)
    settings_with = settings.reader()
    configured = settings_with({})
    queries = part_queries(
        collection.read(),
        acceptance.read_test(),
        test_share=acceptance.test_share,
        held_back=options.held_back,
        seed=options.seed,
        note=partial(say, style=None),
    )
    job = TrainingJob(options, queries.collection, queries.split, Workplace(model.out), configured.index.name)
    say_when_stopped("nothing was written; run it again")
    with job.place.held():
        job.place.open(options, job.data, restart=model.restart)
        say_when_stopped(f"{model.out} keeps what was done; the same command goes on from there")
        with reporter_on_terminal() as reporter:
            trained = event_loop.run(run(job, configured, reporter))
        agreement = _export(model.out) if acceptance.export else None
        with reporter_on_terminal() as reporter:
            max_drop = acceptance.max_drop
            outcome = event_loop.run(
                measure_outcome(job, trained, queries.unseen, settings_with, max_drop=max_drop, reporter=reporter)
            )
        outcome.write_card(agreement, ["connector", *sys.argv[1:]])
    _print(outcome, as_json=as_json)
    raise typer.Exit(1 if outcome.is_worse else 0)


def _build_options(model: ModelFlags, lesson: LessonFlags, steps: StepFlags) -> Options:
    """Raises SettingsError."""
    return Options(
        base=model.base,
        kind=model.find_kind(),
        max_length=model.max_length,
        loss=lesson.loss,
        negatives=lesson.negatives,
        depth=lesson.depth,
        max_share=lesson.max_share,
        teacher=lesson.find_teacher(),
        teacher_is_file=lesson.teacher_scores is not None,
        **{field.name: getattr(steps, field.name) for field in fields(steps)},
    )


def _print(outcome: TrainingOutcome, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcome.describe()))
        return
    if outcome.evaluation:
        from connector.cli.tables.evaluation import print_evaluation, print_troubles, verdicts_table
        from connector.evaluation.report.figures import build_figures

        print_evaluation(outcome.evaluation, build_figures(outcome.evaluation))
        verdicts_table(outcome.verdicts, "the base, and no rerank")
        print_troubles(outcome.evaluation)
    if outcome.is_worse:
        text, style = f"{outcome.folder} is worse than its base, or than no rerank; do not use it", "red"
    else:
        text, style = f"use it with: connector worker --model {outcome.folder}", None
    stderr.print(text, style=style, highlight=False)


def _export(folder: Path) -> Agreement | None:
    """How far the graph in eight bits agrees with the model; None, and a word, where it does not do."""
    from connector.errors import ModelError
    from connector.models.load import export_scorer
    from connector.settings.sections import ModelSettings, WorkerSettings

    model = str(folder.resolve())
    try:
        with stderr.status("exporting to eight bits, and comparing the two"):
            return export_scorer(ModelSettings(model=model), WorkerSettings(model=model), "onnx-int8")
    except ModelError as error:
        say(f"no graph in eight bits: {error}")
        return None
