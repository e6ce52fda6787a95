"""A page of an HTTP API, made from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FASTAPI_SHAPES = ("HTTPValidationError", "ValidationError")  # it announces them by itself; ours are answered instead
NOTHING_SAID = "Successful Response"
Schema = Mapping[str, Any]


def build_openapi_page(header: str, document: Mapping[str, Any]) -> str:
    """Every path with what it takes and what it answers, then every shape."""
    lines = [header, *_paths(document["paths"]), "\n## Shapes\n"]
    for name, schema in sorted(document["components"]["schemas"].items()):
        if name not in FASTAPI_SHAPES:
            lines += _shape(name, schema)
    return "\n".join(lines)


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
                description = reply["description"].removesuffix(NOTHING_SAID)
                yield f"- {status}: {', '.join(part for part in (description, shape) if part) or 'an empty body'}"
            yield ""


def _content(part: Mapping[str, Any]) -> str:
    kinds = part.get("content", {}).items()
    return " or ".join(_type(content["schema"]) if content.get("schema") else f"`{kind}`" for kind, content in kinds)


def _shape(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}\n"
    if "description" in schema:
        yield f"{schema['description']}\n"
    if properties := schema.get("properties"):
        yield from _keys(properties, schema.get("required", ()))
    elif "enum" in schema:
        yield _type(schema)
    yield ""


def _keys(properties: Mapping[str, Schema], required: Sequence[str]) -> Iterator[str]:
    yield "| key | type | |\n|---|---|---|"
    for key, value in properties.items():
        about = "; ".join(filter(None, ["needed" if key in required else "", value.get("description", "")]))
        yield f"| `{key}` | {_type(value)} | {about.replace('|', '&#124;')} |"


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
        case {"type": "object", "additionalProperties": {"$ref": _} as values}:
            return f"object of {_type(values)}"
        case {"type": kind}:
            return str(kind)
    return "anything"
