"""
The key of a row as bytes whose order is the order of the key's values.

Rows that are stored by it lie in the order of event time where that is part of the key, whatever the order in which
they came: inserts are local, and a period is one stretch.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Value = None | bool | int | float | str
_LONGEST = 200
_DIGEST = 16
_INT, _FLOAT, _BITS = struct.Struct(">Q"), struct.Struct(">d"), struct.Struct(">Q")
_SIGN, _ALL = 1 << 63, (1 << 64) - 1
NULL = b"\x00"


def whole(value: int) -> bytes:
    """Spell a 64-bit integer."""
    return b"\x01" + _INT.pack(value + _SIGN)


def number(value: float) -> bytes:
    """Spell a float: the bits of negative ones are turned around."""
    (bits,) = _BITS.unpack(_FLOAT.pack(value or 0.0))  # -0.0 is 0.0
    return b"\x01" + _INT.pack(bits ^ _ALL if bits & _SIGN else bits | _SIGN)


def text(value: str) -> bytes:
    """Spell a text without U+0000."""
    return b"\x01" + value.encode() + b"\x00"


_SPELL: dict[str, Callable[..., bytes]] = {
    "integer": whole, "datetime": whole, "boolean": whole, "number": number, "string": text
}  # fmt: skip


def speller(kinds: Sequence[str]) -> Callable[[Sequence[Value]], bytes]:
    """Return the function that spells the values of keys of these types."""
    spell = [_SPELL[kind] for kind in kinds]

    def key(values: Sequence[Value]) -> bytes:
        parts = [NULL if value is None else one(value) for one, value in zip(spell, values, strict=True)]
        return _bounded(b"".join(parts))

    return key


def _bounded(key: bytes) -> bytes:
    """Keep a key short: the order beyond some length is nobody's business, the difference is."""
    if len(key) <= _LONGEST:
        return key
    return key[: _LONGEST - _DIGEST] + blake2b(key, digest_size=_DIGEST).digest()


def of_content(row: bytes) -> bytes:
    """Name a row of a contract without keys by all that it says."""
    return blake2b(row, digest_size=_DIGEST).digest()
