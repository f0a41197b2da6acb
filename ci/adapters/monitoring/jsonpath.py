"""The part of JSONPath that points of a series need: `$`, `.name`, `['name']`, `[0]`, `[-1]`, `[*]`; nothing is executed."""

from __future__ import annotations

import re
from typing import Any

from ci.errors import BadInput

_STEP = re.compile(
    r"""\.([A-Za-z_][\w-]*)|\[\s*'([^']*)'\s*\]|\[\s*"([^"]*)"\s*\]|\[\s*(-?\d{1,9})\s*\]|(\[\s*\*\s*\]|\.\*)"""
)
_MOST = 1_000_000


def found(path: str, document: Any) -> list[Any]:
    """
    Return all values that a path names, in the order of the document; none where there is nothing.

    Raises:
        BadInput: the path cannot be read, or names too much.
    """
    here = [document]
    for step in steps(path):
        here = [value for item in here for value in _of(item, step)]
        if len(here) > _MOST:
            raise BadInput(f"{path}: names more than {_MOST:,} values")
    return here


def steps(path: str) -> list[str | int | None]:
    """
    Read a path: names, places, and None for "all".

    Raises:
        BadInput: it is none of this part of JSONPath.
    """
    read: list[str | int | None] = []
    place = 1
    if not path.startswith("$"):
        raise BadInput(f"{path[:80]!r}: a path begins with $")
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            raise BadInput(f"{path[:80]!r}: cannot be read from {path[place : place + 20]!r}",
                           hint="$, .name, ['name'], [0] and [*] are understood")  # fmt: skip
        name = next((item for item in step.groups()[:3] if item is not None), None)
        read.append(name if name is not None else int(step[4]) if step[4] else None)
        place = step.end()
    return read


def _of(item: Any, step: str | int | None) -> list[Any]:
    if step is None:
        return list(item.values()) if isinstance(item, dict) else list(item) if isinstance(item, list) else []
    if isinstance(step, str):
        return [item[step]] if isinstance(item, dict) and step in item else []
    return [item[step]] if isinstance(item, list) and -len(item) <= step < len(item) else []
