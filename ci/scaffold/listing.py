"""The list of projects in the root's params.yaml: one line more, everything else as it was."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.files import said_plainly
from ci.shared import SHARED

if TYPE_CHECKING:
    from pathlib import Path


def with_project(name: str, path: Path = SHARED) -> str:
    """
    Return the text of params.yaml with `name` among its projects; comments and order are kept.

    Raises:
        BadInput: not readable, or without a list of projects.
    """
    from ruamel.yaml.error import YAMLError

    with said_plainly(path):
        text = path.read_bytes().decode("utf-8", "replace")
    try:
        document = _yaml().load(text)
        projects = document["projects"]
        return text if name in projects else _added(text, document, name)
    except (YAMLError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: projects: no list of projects to add {name} to") from error


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _added(text: str, document: Any, name: str) -> str:
    """Insert a line after the list's last; ruamel itself would put it behind the blank line that follows."""
    projects = document["projects"]
    if not projects or projects.fa.flow_style():
        projects.append(name)
        written = io.StringIO()
        _yaml().dump(document, written)
        return written.getvalue()
    line, column = projects.lc.item(len(projects) - 1)
    lines = text.splitlines(keepends=True)
    if not lines[line].endswith("\n"):
        lines[line] += "\n"
    dash = lines[line][:column].rfind("-")
    lines.insert(line + 1, f"{lines[line][:dash]}- {name}\n")
    return "".join(lines)
