"""The files of a project, from a draft."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ci.contract import Role
from ci.scaffold.draft import plain
from ci.templating import render

if TYPE_CHECKING:
    from ci.scaffold.columns import Guess
    from ci.scaffold.draft import Draft

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*( [A-Za-z0-9_]+)*")
_WORDS = {"yes", "no", "true", "false", "null", "on", "off", "y", "n"}  # YAML 1.1 reads more into them than text
_REMARK = 140


def files(draft: Draft) -> dict[str, str]:
    """Return the text of each file by its name."""
    draft.contract()
    fixes = [found.fix.line(name) for name, found in draft.guesses.items() if found.fix]
    shown = {
        "draft": draft,
        "contract": draft.document(),
        "columns": _columns(draft),
        "yaml": as_yaml,
        "remark": remark,
    }
    return {
        "__init__.py": "",
        "contract.yaml": render("project/contract.yaml.j2", **shown),
        "params.yaml": render("project/params.yaml.j2", **shown, start=draft.timing.start if draft.timing else None),
        "source.py": render("project/source.py.j2", project=draft.name, fixes=fixes, losing="coerce" in "".join(fixes)),
        "features.py": render("project/features.py.j2", project=draft.name),
        "model.py": render("project/model.py.j2", project=draft.name, task=draft.task.value),
    }


def as_yaml(value: Any) -> str:
    """Spell a value in one line of YAML, whatever characters it holds; text that could be anything else is quoted."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_yaml(key)}: {as_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_yaml(item) for item in value) + "]"
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.casefold() not in _WORDS else _quoted(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


def remark(text: str) -> str:
    """Make text fit for a comment: one line, printable, not endless."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    clean = " ".join(clean.split())
    return clean if len(clean) <= _REMARK else clean[: _REMARK - 1] + "…"


def _quoted(text: str) -> str:
    escaped = {'"': '\\"', "\\": "\\\\"}
    return (
        '"'
        + "".join(escaped.get(char) or (char if char.isprintable() else f"\\U{ord(char):08X}") for char in text)
        + '"'
    )


def _columns(draft: Draft) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Return (heading, [(name, what, comment)]) by role: what a reader looks for first comes first."""
    headings = {
        Role.FEATURE: "What a caller sends: known when the question is asked.",
        Role.TARGET: "What is predicted.",
        Role.AFTER: "Known only afterwards: never a feature.",
        Role.META: "Carried along: ids, and what tells nothing. `role: feature`, or no role, makes one a feature.",
    }
    found = []
    for role, heading in headings.items():
        lines = [
            (as_yaml(name), as_yaml(plain(guess)), remark(_comment(guess)))
            for name, guess in draft.guesses.items()
            if guess.column.role is role
        ]
        if lines:
            found.append((heading, lines))
    return found


def _comment(guess: Guess) -> str:
    listed = guess.column.categories is not None and guess.column.role is not Role.TARGET
    parts = [guess.why, "" if listed else guess.seen, f"NOTE {guess.warning}" if guess.warning else ""]
    return "; ".join(part for part in parts if part)
