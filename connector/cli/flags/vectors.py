"""The flag for how vectors are indexed, whose help says what each choice of each engine means."""

from __future__ import annotations

from typing import Annotated

import typer

from connector.clusters.indices.vector_choices import AUTO, describe_all

VectorIndexName = Annotated[
    str | None,
    typer.Option(
        "--vector-index",
        metavar="NAME",
        help=f"How a new index keeps its vectors; {AUTO} is by engine and version. {describe_all()}. "
        "[CONNECTOR_INDEX_VECTORS_INDEX]",
    ),
]
