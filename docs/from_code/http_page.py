"""The page of the worker's HTTP API, made from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app

HEADER = """\
# HTTP API of the worker

This page is made from the code: it is the worker's own `/openapi.json`, in words.
[The dialects](worker-api.md) says whose client may call which path, which headers there are, and who is served when.

"""
FASTAPI_SHAPES = ("HTTPValidationError", "ValidationError")  # the worker answers in its dialects instead
Schema = Mapping[str, Any]


def build_http_page() -> str:
    """Every path with what it takes and what it answers, then every shape."""
    document = create_app(_never, WorkerSettings()).openapi()
    lines = [HEADER, *_paths(document["paths"]), "\n## Shapes\n"]
    for name, schema in sorted(document["components"]["schemas"].items()):
        if name not in FASTAPI_SHAPES:
            lines += _shape(name, schema)
    return "\n".join(lines)


def _never() -> Any:
    raise AssertionError("the document needs no model")


def _paths(paths: Mapping[str, Any]) -> Iterator[str]:
    yield "## Paths\n"
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield f"### {method.upper()} {path}\n"
            yield f"{operation.get('description') or operation['summary']}\n"
            for parameter in operation.get("parameters", ()):
                yield f"- `{parameter['name']}` in the {parameter['in']}: {_type(parameter['schema'])}"
            if body := operation.get("requestBody"):
                yield f"- takes {_content(body)}"
            for status, reply in operation["responses"].items():
                shape = _content(reply)
                if FASTAPI_SHAPES[0] in shape:
                    continue
                said = reply["description"].removesuffix("Successful Response")
                yield f"- {status}: {', '.join(part for part in (said, shape) if part) or 'an empty body'}"
            yield ""


def _content(part: Mapping[str, Any]) -> str:
    return " or ".join(_type(each["schema"]) for each in part.get("content", {}).values() if each.get("schema"))


def _shape(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}\n"
    if "description" in schema:
        yield f"{schema['description']}\n"
    if properties := schema.get("properties"):
        yield "| key | type | |\n|---|---|---|"
        required = schema.get("required", ())
        for key, value in properties.items():
            about = "; ".join(filter(None, ["needed" if key in required else "", value.get("description", "")]))
            yield f"| `{key}` | {_type(value)} | {about} |"
    elif "enum" in schema:
        yield _type(schema)
    yield ""


def _type(schema: Schema) -> str:
    """A schema in words; the shapes that it names are links."""
    match schema:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": kinds}:
            return " or ".join(dict.fromkeys(_type(kind) for kind in kinds))
        case {"enum": values}:
            return " or ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": kind}:
            return str(kind)
    return "anything"
