"""Examples -> a fine-tuned model, by the trainers of sentence-transformers: resumable, and stopped where it no longer
gains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from connector.errors import ModelError
from connector.evaluation.evaluate import Reporter
from connector.extras import require
from connector.models.devices import runs_on_cpu
from connector.models.files import find_model, quiet_loading
from connector.models.onnx.session import has_bf16
from connector.training.examples import Example
from connector.training.losses import build_loss, build_rows
from connector.training.options import Options, Workplace

AT_ONCE = 32  # passages that run forward and back together; a step of more queries is made of several such parts
MEASURED_DOCS = 20  # candidates of a held-back query that an evaluation reranks
DECIDES = "eval_held-back_ndcg@10"
WARM_UP = 0.1  # share of the steps in which the learning rate rises


def fine_tune(
    options: Options,
    examples: Sequence[Example],
    held_back: Sequence[Example],
    place: Workplace,
    reporter: Reporter = Reporter(),
) -> dict[str, Any]:
    """Train, keep the best of the evaluated states, and save it to the place's folder; goes on from its last
    checkpoint.

    Gives the steps taken, the rows, and nDCG@10 of each evaluation on the queries held back. Raises ModelError for a
    base that cannot be trained, MissingExtra where a package is missing."""
    require("train", "training")
    from datasets import Dataset, disable_progress_bars
    from transformers import EarlyStoppingCallback, set_seed
    from transformers.trainer_callback import PrinterCallback

    quiet_loading()
    disable_progress_bars()  # a command shows its own
    set_seed(options.seed)
    student = _load(options)
    rows = Dataset.from_dict(build_rows(examples, options))
    trainer_kind, arguments_kind = _trainer(options)
    trainer = trainer_kind(
        model=student,
        args=arguments_kind(**_arguments(options, place, student, rows=len(rows))),
        train_dataset=rows,
        loss=build_loss(student, options),
        evaluator=_evaluator(options, held_back),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=options.patience), _callback(reporter)],
    )
    trainer.remove_callback(PrinterCallback)  # stdout is for results
    checkpoint = last_checkpoint(place.checkpoints)
    if checkpoint:
        reporter.note(f"going on from {checkpoint.name}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    _save(student, options, place.folder)
    history = [
        {"step": int(entry["step"]), "ndcg@10": round(float(entry[DECIDES]), 5)}
        for entry in trainer.state.log_history
        if DECIDES in entry
    ]
    return {"rows": len(rows), "steps": int(trainer.state.global_step), "held_back": history}


def _arguments(options: Options, place: Workplace, student: Any, *, rows: int) -> dict[str, Any]:
    """What the trainer is to do; it evaluates and saves at the same steps, so that the best state is one that was
    kept."""
    import torch

    steps = math.ceil(rows / options.batch_size) * options.epochs
    every = max(int(steps / options.evaluations), 1)
    parts = parts_of_step(options)
    gpu, cpu = torch.cuda.is_available(), runs_on_cpu(None)
    return {
        "output_dir": str(place.checkpoints),
        "num_train_epochs": options.epochs,
        "per_device_train_batch_size": options.batch_size // parts,
        "per_device_eval_batch_size": AT_ONCE,
        "gradient_accumulation_steps": parts,
        "learning_rate": options.learning_rate,
        "learning_rate_mapping": _layer_rates(student, options),
        "warmup_steps": max(int(steps * WARM_UP), 1),
        "use_cpu": cpu,
        "bf16": has_bf16() if cpu else gpu and torch.cuda.is_bf16_supported(),
        "eval_strategy": "steps",
        "eval_steps": every,
        "eval_on_start": True,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": DECIDES,
        "greater_is_better": True,
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": options.seed,
        "data_seed": options.seed,
        "dataloader_pin_memory": gpu,
    }


def parts_of_step(options: Options) -> int:
    """Into how many parts a step's queries are cut, all of one size, so that memory does not grow with it.

    A contrastive loss takes the other queries' passages as further negatives, so it has one part."""
    if options.loss in ("contrastive", "binary"):
        return 1
    fitting = max(AT_ONCE // (options.negatives + 1), 1)
    return next(
        parts
        for parts in range(1, options.batch_size + 1)
        if options.batch_size % parts == 0 and options.batch_size // parts <= fitting
    )


def last_checkpoint(folder: Path) -> Path | None:
    """The newest that was written whole: its state is the last of its files."""
    whole = [state.parent for state in folder.glob("checkpoint-*/trainer_state.json") if state.stat().st_size]
    return max(whole, key=lambda checkpoint: int(checkpoint.name.split("-")[1]), default=None)


def _load(options: Options) -> Any:
    """The base as a model of sentence-transformers that can be trained."""
    folder = str(find_model(options.base))
    loading = {"local_files_only": True}
    try:
        if options.kind == "cross-encoder":
            from sentence_transformers import CrossEncoder

            student = CrossEncoder(folder, num_labels=1, max_length=options.max_length, **loading)
        else:
            from sentence_transformers import MultiVectorEncoder
            from sentence_transformers.base.modules import Normalize, Transformer
            from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

            transformer = Transformer(folder, max_seq_length=options.max_length)
            student = MultiVectorEncoder(
                modules=[transformer, MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
            )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot train {options.base!r}: {error}") from error
    if student.tokenizer.pad_token is None:
        raise ModelError(f"{options.base!r} has no padding token, without which it cannot be trained in batches")
    _stop_dropout(student)
    student.save_pretrained = partial(student.save_pretrained, create_model_card=False)  # a checkpoint has no readers
    return student


def _stop_dropout(student: Any) -> None:
    """Random numbers for each weight of attention take a processor four times as long as all else; early stopping is
    what keeps from learning the examples by heart."""
    from torch.nn import Dropout

    for module in student.modules():
        if isinstance(module, Dropout):
            module.p = 0.0


def _trainer(options: Options) -> tuple[Any, Any]:
    import sentence_transformers as library

    if options.kind == "cross-encoder":
        return library.CrossEncoderTrainer, library.CrossEncoderTrainingArguments
    return library.MultiVectorEncoderTrainer, library.MultiVectorEncoderTrainingArguments


def _evaluator(options: Options, held_back: Sequence[Example]) -> Any:
    samples = [
        {
            "query": example.query,
            "positive": [candidate.text for candidate in example.positives],
            "negative": [candidate.text for candidate in example.negatives[:MEASURED_DOCS]],
        }
        for example in held_back
    ]
    if options.kind == "cross-encoder":
        from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

        return CrossEncoderRerankingEvaluator(samples, name="held-back", write_csv=False)
    from sentence_transformers.multi_vector_encoder.evaluation import MultiVectorRerankingEvaluator

    return MultiVectorRerankingEvaluator(samples, name="held-back", write_csv=False)


def _layer_rates(student: Any, options: Options) -> dict[str, float]:
    """Learning rates by parameter names, smaller towards the input: Howard and Ruder, ULMFiT, ACL 2018."""
    if options.layer_decay == 1:
        return {}
    layers = int(student[0].model.config.num_hidden_layers)
    rates = {
        rf"\.layers?\.{at}\.": options.learning_rate * options.layer_decay ** (layers - 1 - at) for at in range(layers)
    }
    return rates | {r"\bembeddings\.": options.learning_rate * options.layer_decay**layers}


def _callback(reporter: Reporter) -> Any:
    from transformers import TrainerCallback

    class TrainingProgress(TrainerCallback):  # type: ignore[misc]  # the library has no types
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            reporter.begin("training", state.max_steps)
            for _ in range(state.global_step):
                reporter.done()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            reporter.done()

        def on_evaluate(
            self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **kwargs: Any
        ) -> None:
            if metrics and DECIDES in metrics:
                at = f"step {state.global_step} of {state.max_steps}"
                reporter.note(f"{at}: nDCG@10 {metrics[DECIDES]:.4f} on the queries held back")

    return TrainingProgress()


def _save(student: Any, options: Options, folder: Path) -> None:
    """As the worker loads it: a cross-encoder, or an encoder whose token vectors it compares."""
    if options.kind == "cross-encoder":
        student.save_pretrained(str(folder))
        return
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(find_model(options.base)), local_files_only=True, device="cpu")
    encoder[0].model = student[0].model.cpu()
    encoder.max_seq_length = options.max_length
    encoder.save_pretrained(str(folder), create_model_card=False)
