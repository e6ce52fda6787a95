"""`connector train`: a reranker of one's own, fine-tuned on one's own judgments, and measured before it is used."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.collection import (
    CollectionFlags,
    Data,
    QrelsFile,
    Queries,
    Split,
    TopicField,
    Topics,
    reporter_on_terminal,
    settings_reader,
)
from connector.cli.flags.common import AsJson, ClusterUrl, ConfigFile, IndexName, Overrides
from connector.errors import SettingsError

if TYPE_CHECKING:
    from connector.evaluation.datasets import Collection
    from connector.evaluation.evaluate import Evaluation
    from connector.models.onnx.agreement import Agreement


def train(
    data: Data = None,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where the model goes; a stopped training goes on there."),
    ] = Path("reranker"),
    base: Annotated[
        str,
        typer.Option("--base", help="Folder or hub name of the model to begin with: a cross-encoder or an encoder."),
    ] = "all-MiniLM-L6-v2",
    kind: Annotated[str, typer.Option(help="cross-encoder or late-interaction; auto: what the base is.")] = "auto",
    loss: Annotated[
        str,
        typer.Option(
            help="listwise, binary (cross-encoder), contrastive (late interaction); from a teacher's scores: margin-mse, distill."
        ),
    ] = "listwise",
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="A reranker whose scores are learned: folder or hub name.")
    ] = None,
    teacher_scores: Annotated[
        Path | None,
        typer.Option("--teacher-scores", metavar="FILE", help="Or its scores: JSON Lines of query_id, doc_id, score."),
    ] = None,
    negatives: Annotated[int, typer.Option(min=1, max=100, help="Other candidates of each query.")] = 7,
    depth: Annotated[int, typer.Option(min=1, max=1_000, help="Hits of each leg that they are taken from.")] = 50,
    max_share: Annotated[
        float,
        typer.Option(
            "--max-share",
            min=0,
            max=10,
            help="A candidate nearer to the query than this share of its answer's cosine is left out.",
        ),
    ] = 0.95,
    epochs: Annotated[float, typer.Option(min=0.001)] = 1.0,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Queries in a step.")] = 16,
    learning_rate: Annotated[float, typer.Option("--learning-rate", min=0)] = 2e-5,
    layer_decay: Annotated[
        float,
        typer.Option("--layer-decay", min=0.01, max=1, help="The rate of each layer as a share of the next one's."),
    ] = 1.0,
    max_length: Annotated[int, typer.Option("--max-length", min=16, help="Longest input in tokens.")] = 256,
    evaluations: Annotated[int, typer.Option(min=1, help="How often it is measured meanwhile.")] = 10,
    patience: Annotated[int, typer.Option(min=1, help="It stops after that many without a gain.")] = 3,
    seed: Annotated[int, typer.Option()] = 13,
    test_share: Annotated[
        float,
        typer.Option("--test-share", min=0, max=0.9, help="Share of the queries for the measure before and after."),
    ] = 0.2,
    test: Annotated[
        Path | None,
        typer.Option("--test", metavar="FOLDER", help="Or other judged queries of the same index, in BEIR's layout."),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option("--max-drop", min=0, help="How far nDCG@10 may fall below the base's, and below no rerank's."),
    ] = 0.0,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away a training that is under way there.")] = False,
    export: Annotated[bool, typer.Option("--export/--no-export", help="Also make the graph in eight bits.")] = True,
    topics: Topics = None,
    qrels: QrelsFile = None,
    topic_field: TopicField = None,
    split: Split = "test",
    queries: Queries = 0,
    as_json: AsJson = False,
    cluster: ClusterUrl = None,
    index: IndexName = None,
    config: ConfigFile = None,
    override: Overrides = None,
) -> None:
    """Fine-tune a reranker on judged queries, and hold it against its base.

    The documents are in the index. Other candidates come from both legs of the configured cluster; those that may be answers nobody judged are left out. It stops
    where queries that are held back gain no more, writes the model with a card, and measures base and model on queries that
    the training did not see, through the real path. Stopped or killed, the same command goes on.

    Exit code: 0 the model is no worse than its base and than no rerank; 1 it is, and should not be used; 2 it could not start;
    3 the cluster is away.

    Examples:

        connector train judged --index kb --out models/kb

        connector train judged --index kb --base cross-encoder/ms-marco-MiniLM-L6-v2 --loss binary --out models/kb

        connector train judged --index kb --loss margin-mse --teacher BAAI/bge-reranker-v2-m3 --out models/kb
    """
    from connector.models.scorer import ScorerKind, detect_kind
    from connector.training.options import LOSSES, Options, Workplace
    from connector.training.train import Job, split_queries
    from connector.training.train import train as run

    if teacher and teacher_scores:
        raise SettingsError("--teacher and --teacher-scores are two ways to say the same; give one of them")
    if kind not in ("auto", *LOSSES):
        raise SettingsError(f"--kind takes auto, {' or '.join(LOSSES)}, not {kind!r}")
    settings_with = settings_reader(config, override, cluster__url=cluster, index__name=index)
    settings = settings_with({})
    options = Options(
        base=base,
        kind=detect_kind(base) if kind == "auto" else cast(ScorerKind, kind),
        loss=loss,
        negatives=negatives,
        depth=depth,
        max_share=max_share,
        teacher=teacher or (str(teacher_scores) if teacher_scores else None),
        teacher_is_file=teacher_scores is not None,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        layer_decay=layer_decay,
        max_length=max_length,
        evaluations=evaluations,
        patience=patience,
        seed=seed,
    )
    collection = CollectionFlags(data, topics, qrels, topic_field, split, queries).read()
    tested = CollectionFlags(test, None, None, None, "test", 0).read() if test else None
    if tested:
        collection = _without(collection, tested)
    parts = split_queries(
        collection, test_share=0 if tested else test_share, held_back=options.held_back, seed=options.seed
    )
    job = Job(options, collection, parts, Workplace(out), settings.index.name)
    job.place.open(options, job.data, restart=restart)
    with reporter_on_terminal() as reporter:
        trained = event_loop.run(run(job, settings, reporter))
    unseen = tested or (collection.only(parts.test) if parts.test else None)
    _report(job, trained, unseen, settings_with, max_drop=max_drop, export=export, as_json=as_json)


def _without(collection: Collection, tested: Collection) -> Collection:
    """The collection without the queries that the model is measured on."""
    asked = {query.text for query in tested.queries}
    others = [query for query in collection.queries if query.text not in asked]
    if len(others) < len(collection.queries):
        left_out = len(collection.queries) - len(others)
        stderr.print(f"{left_out} queries are also in {tested.name}; they are not learned from", highlight=False)
    return collection.only(others)


def _report(
    job: Any,
    trained: dict[str, Any],
    unseen: Collection | None,
    settings_with: Any,
    *,
    max_drop: float,
    export: bool,
    as_json: bool,
) -> None:
    """The graph in eight bits, the measure before and after, the card."""
    from connector.training.card import build_card
    from connector.training.measure import measure_both, verdicts

    folder = job.place.folder
    agreement = _export(folder) if export else None
    evaluation, judged = None, []
    if unseen:
        with reporter_on_terminal() as reporter:
            evaluation = event_loop.run(measure_both(job.options.base, folder, unseen, settings_with, reporter))
        judged = verdicts(evaluation, max_drop=max_drop)
    card = build_card(job.options, job.data, trained, evaluation, judged, agreement, ["connector", *sys.argv[1:]])
    (folder / "README.md").write_text(card, encoding="utf-8")
    broken = any(one.broken for one in judged)
    if as_json:
        measures = (
            {one.pipeline.name: {name: one.mean(name) for name in evaluation.measures} for one in evaluation.pipelines}
            if evaluation
            else {}
        )
        described = {"folder": str(folder), "ok": not broken, "options": asdict(job.options), "data": job.data}
        print(
            json.dumps(
                described | {"trained": trained, "measures": measures, "verdicts": [asdict(one) for one in judged]}
            )
        )
    else:
        _print(evaluation, judged, folder, broken)
    raise typer.Exit(1 if broken else 0)


def _print(evaluation: Evaluation | None, judged: Any, folder: Path, broken: bool) -> None:
    if evaluation:
        from connector.cli.tables.evaluation import print_evaluation, print_troubles, verdicts_table
        from connector.evaluation.figures import build_figures

        print_evaluation(evaluation, build_figures(evaluation))
        verdicts_table(judged, "the base, and no rerank")
        print_troubles(evaluation)
    if broken:
        stderr.print(f"{folder} is worse than its base, or than no rerank; do not use it", style="red", highlight=False)
    else:
        stderr.print(f"use it with: connector worker --model {folder}", highlight=False)


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
        stderr.print(f"no graph in eight bits: {error}", style="yellow", highlight=False, markup=False)
        return None
