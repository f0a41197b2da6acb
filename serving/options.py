"""Options of a service: a dataclass whose fields say their default, help and limits; command line and environment fill it."""

from __future__ import annotations

import argparse
import math
from dataclasses import field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}
_KINDS: dict[type, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def option(default: Any, text: str, **limits: Any) -> Any:
    """Declare one; `limits` are `least`, `most`, `choices`, and `secret` for what no command line may hold."""
    return field(default=default, metadata={"help": text, **limits})


def flag(name: str) -> str:
    """Spell a field as an option of the command line."""
    return "--" + name.replace("_", "-")


def parser(kind: Any, program: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Make a parser of all that may stand on a command line, where every user of the machine can read it."""
    made = argparse.ArgumentParser(prog=program, description=description, epilog=epilog, allow_abbrev=False)
    for item in fields(kind):
        if "secret" in item.metadata:
            continue
        extra: dict[str, Any] = {"nargs": "?", "const": "true"} if isinstance(item.default, bool) else {}
        shown = f" [{item.default}]" if item.default != "" else ""
        made.add_argument(
            flag(item.name), help=item.metadata["help"] + shown, metavar=type(item.default).__name__, **extra
        )
    return made


def filled(
    kind: Any, given: Mapping[str, str | None], variables: Mapping[str, tuple[str, str | None]]
) -> dict[str, Any]:
    """
    Read what is given: options first, then `variables`, for each field its variable's name and value; the rest is default.

    Raises:
        BadOption: naming the option or variable.
    """
    values: dict[str, Any] = {}
    for item in fields(kind):
        source, raw = (flag(item.name), given[item.name]) if given.get(item.name) is not None else variables[item.name]
        if raw is not None:
            values[item.name] = _value(source, raw, item)
    return values


def from_file(name: str, values: Mapping[str, Any], said: str) -> dict[str, str]:
    """
    Take a secret from the file that `<name>_file` names, so that it need not be in the environment.

    Raises:
        BadOption: it cannot be read, or is empty; the message begins with `said`.
    """
    path = values.get(f"{name}_file")
    if not path:
        return {}
    try:
        secret = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(f"{said}: {path}: {error}") from error
    if not secret:
        raise BadOption(f"{said}: {path} is empty")
    return {name: secret}


def _value(source: str, raw: str, item: Any) -> Any:
    kind, limits = type(item.default), item.metadata
    try:
        value = _boolean(raw) if kind is bool else kind(raw)
    except ValueError:
        raise BadOption(f"{source}: {raw[:40]!r} is not {_KINDS[kind]}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise BadOption(f"{source}: {value} is not a finite number")
    if "least" in limits and value < limits["least"]:
        raise BadOption(f"{source}: {value} is below {limits['least']}")
    if "most" in limits and value > limits["most"]:
        raise BadOption(f"{source}: {value} is above {limits['most']}")
    if "choices" in limits and value not in limits["choices"]:
        raise BadOption(f"{source}: {value!r} is not one of {', '.join(limits['choices'])}")
    return value


def _boolean(raw: str) -> bool:
    if raw.lower() in _TRUE | _FALSE:
        return raw.lower() in _TRUE
    raise ValueError(raw)
