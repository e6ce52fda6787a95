"""A jar as those in a Maven repository are, of a few bytes."""

from __future__ import annotations

import hashlib
import io
import zipfile

from connector.models.places.jars import JarModel


def make_jar() -> tuple[JarModel, bytes]:
    """A jar with a graph and a tokenizer of a few bytes, and its row of the table."""
    packed = {"tiny.onnx": b"graph" * 10_000, "tiny-tokenizer.json": b"{}", "dev/Tiny.class": b"code"}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in packed.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    content = stream.getvalue()
    kept = {"tiny.onnx": "model.onnx", "tiny-tokenizer.json": "tokenizer.json"}
    jar = JarModel(
        name="owner/tiny",
        artifact="tiny",
        version="1",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        files=tuple((name, kept[name], hashlib.sha256(packed[name]).hexdigest()) for name in kept),
        licence="MIT",
        layers=2,
        pooling="cls",
        max_tokens=512,
        dims=48,
    )
    return jar, content
