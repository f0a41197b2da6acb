"""
docs/reference/project.md, drawn from the models that read a project's files: `python -m ci.scaffold.reference`.

A test holds the page to the models, so it cannot fall behind.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.contract import Contract
from ci.files import write_text
from ci.project import ProjectParams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ci.params import Model

PAGE = Path("docs", "reference", "project.md")

_HEAD = """\
<!-- Drawn from the models by `python -m ci.scaffold.reference`; do not edit. -->
# The files of a project

`projects/<name>/` is all that a team writes. [How to add a project](../how-to/add-a-project.md) goes through it; this
page lists every key. An unknown key, a wrong type or a value out of range ends a step with one line that names it.

| file | what it holds |
|---|---|
| `contract.yaml` | what a row is, what is predicted, and which columns are known when the question is asked |
| `params.yaml` | where rows come from, and how they are checked, split, learned from and judged |
| `source.py` | optional `assemble(tables)`: from tables to rows |
| `features.py` | optional `features(rows)`: from signature columns to what the estimator sees |
| `model.py` | optional `estimator(params, features)`, or `train(rows, params)` for a framework of your own |
"""
_LIMITS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}
_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}


def page() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD]
    for title, model in (("contract.yaml", Contract), ("params.yaml", ProjectParams)):
        parts += [f"\n## {title}\n", *_sections(model)]
    return "".join(parts)


def _sections(model: type[Model]) -> Iterator[str]:
    schema = model.model_json_schema()
    yield _table(schema, schema.get("$defs", {}))
    for name, part in schema.get("$defs", {}).items():
        if part.get("type") == "object":
            yield f"\n### {name}\n\n{_first_sentence(part)}\n{_table(part, schema['$defs'])}"


def _table(part: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    required = set(part.get("required", ()))
    lines = ["", "| key | value | default | what it means |", "|---|---|---|---|"]
    for key, field in part["properties"].items():
        default = "**required**" if key in required else _default(field)
        meaning = field.get("description") or _first_sentence(known.get(field.get("$ref", "").rsplit("/", 1)[-1], {}))
        lines.append(f"| `{key}` | {_kind(field, known)} | {default} | {_cell(meaning)} |")
    return "\n".join(lines) + "\n"


def _kind(field: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Say in words what may stand there."""
    if "$ref" in field:
        return _named(field["$ref"].rsplit("/", 1)[1], known)
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " or ".join(_kind(item, known) for item in field[several])
    if "const" in field or "enum" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    kind = field.get("type")
    if kind == "array":
        return f"list of {_kind(field.get('items', {}), known)}"
    if kind == "object":
        values = field.get("additionalProperties") or next(iter(field.get("patternProperties", {}).values()), None)
        return f"name: {_kind(values, known)}" if isinstance(values, dict) else "keys and values"
    return _scalar(field, kind)


def _scalar(field: Mapping[str, Any], kind: str | None) -> str:
    if field.get("format") == "date":
        return "date, in quotes"
    pattern = field.get("pattern", "")
    if choice := re.fullmatch(r"\^\(([\w|]+)\)\$", pattern):
        return " or ".join(f"`{value}`" for value in choice.group(1).split("|"))
    limits = [text.format(f"{field[name]:,}") for name, text in _LIMITS.items() if name in field]
    shape = [f"like `{pattern}`".replace("|", "\\|")] if pattern else []
    return ", ".join([_WORDS.get(kind or "", "any value"), *limits, *shape])


def _named(name: str, known: Mapping[str, Any]) -> str:
    part = known[name]
    return f"[{name}](#{name.lower()})" if part.get("type") == "object" else _kind(part, known)


def _default(field: Mapping[str, Any]) -> str:
    if "default" not in field:
        return "`[]`" if field.get("type") == "array" else "`{}`"
    value = field["default"]
    return "its own defaults" if isinstance(value, dict) and value else f"`{json.dumps(value, ensure_ascii=False)}`"


def _first_sentence(part: Mapping[str, Any]) -> str:
    return " ".join(part.get("description", "").strip().split("\n\n")[0].split())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write the page."""
    write_text(PAGE, page())


if __name__ == "__main__":
    main()
