"""A model's weights as numpy reads them out of its safetensors files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connector.errors import ModelError

# little-endian, as the format has them; bfloat16, which numpy does not know, is the upper half of 32 bits
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


class ModelWeights(Mapping[str, NDArray[np.float32]]):
    """The tensors of a model folder by name, in 32 bits. Raises ModelError where a file cannot be read.

    https://huggingface.co/docs/safetensors: eight bytes of length, a header in JSON, and the tensors one after the
    other."""

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, tuple[Path, int, dict[str, Any]]] = {}
        for file in sorted(folder.glob("*.safetensors")):
            try:
                with open(file, "rb") as stream:
                    length = int.from_bytes(stream.read(8), "little")
                    header = json.loads(stream.read(length))
            except (OSError, ValueError, MemoryError, OverflowError) as error:
                raise ModelError(f"cannot read the weights in {file}: {error}") from error
            header.pop("__metadata__", None)
            self._places |= {name: (file, 8 + length, about) for name, about in header.items()}

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        file, start, about = self._places[name]
        if about["dtype"] not in TYPES:
            raise ModelError(f"the weights {name!r} in {file} are of type {about['dtype']}, which is not read")
        first, last = about["data_offsets"]
        shape = tuple(about["shape"])
        kind = np.dtype(TYPES[about["dtype"]])
        if last - first != math.prod(shape) * kind.itemsize or start + last > file.stat().st_size:
            raise ModelError(f"the weights {name!r} in {file} are cut short; fetch the model again")
        if not last - first:
            return np.zeros(shape, np.float32)
        stored = np.memmap(file, dtype=kind, mode="r", offset=start + first, shape=shape)
        if about["dtype"] == "BF16":
            return (stored.astype(np.uint32) << 16).view(np.float32)
        return np.asarray(stored).astype(np.float32, copy=False)

    def shape(self, name: str) -> tuple[int, ...]:
        """Without reading the tensor."""
        return tuple(self._places[name][2]["shape"])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
