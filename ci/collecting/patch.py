"""From values that a contract refuses to the lines with which its owner would accept them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.contract import Type
from ci.data.evolution import to_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ci.contract import Column, Contract

_MOST = 30


@dataclass(frozen=True, slots=True)
class Fault:
    """A value that was refused in a column."""

    column: str
    value: Any


def patch(faults: Sequence[Fault], contract: Contract) -> list[str]:
    """Return a line for each column that would have to change; of another type than declared, nothing is proposed."""
    values: dict[str, list[Any]] = {}
    for fault in faults:
        values.setdefault(fault.column, []).append(fault.value)
    return [
        f"# columns: {name}: {change}"
        for name, found in sorted(values.items())
        if name in contract.columns
        for change in _changes(contract.columns[name], found)
    ]


def _changes(column: Column, found: Sequence[Any]) -> Iterator[str]:
    if None in found and not column.nullable:
        yield "nullable: true"
    numbers = [value for value in found if isinstance(value, int | float) and not isinstance(value, bool)]
    texts = [value for value in found if isinstance(value, str)]
    if column.type in {Type.NUMBER, Type.INTEGER} and numbers:
        if column.minimum is not None and min(numbers) < column.minimum:
            yield f"minimum: {min(numbers):g}"
        if column.maximum is not None and max(numbers) > column.maximum:
            yield f"maximum: {max(numbers):g}"
    if column.type is Type.STRING and texts:
        unknown = sorted({text for text in texts if column.categories and text not in column.categories})
        if unknown:
            more = f" and {len(unknown) - _MOST} more" if len(unknown) > _MOST else ""
            yield f"categories: add {', '.join(map(to_line, unknown[:_MOST]))}{more}"
        longest = max(map(len, texts))
        if longest > column.max_length:
            yield f"max_length: {longest}"
