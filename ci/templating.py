"""Rendering: a template and a frozen model in, text out; an undefined name is an error, HTML is escaped."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html.j2", "xml.j2"), default_for_string=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=printable,
    )
    environment.filters["number"] = number
    environment.filters["text"] = cell
    environment.filters["cell"] = in_markdown
    return environment


def render(name: str, **context: Any) -> str:
    """Render `templates/<name>`."""
    return _environment().get_template(name).render(**context)


def in_markdown(text: str) -> str:
    """Keep a text within its cell or line of a Markdown file, whatever is in it: no bar, no line break, no tag, no link."""
    plain = " ".join(str(text).split())
    return re.sub(r"([\\|`*_\[\]<>])", r"\\\1", plain)


def printable(value: Any) -> Any:
    """Replace control characters, which XML does not allow and a terminal would obey; applied to all that is rendered."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value) if type(value) is str else value


def number(value: Any) -> str:
    """Spell a number for people: four significant digits, thousands apart, integers whole."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-3 else f"{value:.2e}"


def cell(value: Any) -> str:
    """Spell any value of a table or a fact."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return number(value)
