"""Packages that only some uses need: which extra of the installation brings them, and what is said where one is
missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Literal, get_args

from connector.errors import MissingExtra

Extra = Literal[
    "local",
    "embedded",
    "files",
    "follow",
    "postgres",
    "kafka",
    "worker",
    "gateway",
    "torch",
    "train",
    "evaluate",
    "judge",
    "openvino",
    "traces",
    "ray",
]
EXTRAS: tuple[Extra, ...] = get_args(Extra)

# what the code imports of each extra's packages, or they of each other
MODULES: dict[Extra, frozenset[str]] = {
    "local": frozenset({"onnxruntime", "tokenizers", "onnx", "huggingface_hub", "filelock"}),
    "embedded": frozenset({"lancedb", "pyarrow", "filelock", "Stemmer"}),
    "files": frozenset({"pypdf", "selectolax", "pyarrow"}),
    "follow": frozenset({"watchfiles"}),
    "postgres": frozenset({"psycopg"}),
    "kafka": frozenset({"confluent_kafka"}),
    "worker": frozenset({"fastapi", "starlette", "uvicorn", "prometheus_client", "opentelemetry"}),
    "gateway": frozenset(
        {
            "uvicorn",
            "httptools",
            "msgspec",
            "cachetools",
            "fastapi",
            "starlette",
            "prometheus_client",
            "jinja2",
            "python_multipart",
        }
    ),
    "torch": frozenset({"torch", "sentence_transformers", "transformers"}),
    "train": frozenset({"torch", "sentence_transformers", "transformers", "accelerate", "datasets", "ir_measures"}),
    "evaluate": frozenset({"ir_measures", "jinja2"}),
    "judge": frozenset({"fastapi", "starlette", "uvicorn", "ir_measures", "jinja2", "filelock"}),
    "openvino": frozenset({"openvino"}),
    "traces": frozenset({"opentelemetry"}),
    "ray": frozenset({"ray", "pyarrow"}),
}


@contextmanager
def needs(extra: Extra, feature: str) -> Iterator[None]:
    """Within the block packages of an extra are imported, for that `feature`: "reading Parquet".

    Raises MissingExtra where one of them is not installed. An ImportError out of an installed package stays as it
    is."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in MODULES[extra] or _is_installed(package):
            raise
        raise MissingExtra(extra, package, feature) from error


def require(extra: Extra, feature: str) -> None:
    """Raise MissingExtra where a package of the extra is not installed; nothing is imported."""
    for package in sorted(MODULES[extra]):
        if not _is_installed(package):
            raise MissingExtra(extra, package, feature)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # it stands in sys.modules as what must not be imported
        return False
