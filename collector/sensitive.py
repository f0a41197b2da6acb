"""Sensitive columns: hashed with a key or dropped, before anything of them is stored."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from serving.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.contract import Contract

MARK = "hmac:"
_DIGITS = 32
_LEAST_KEY = 16


class Guard:
    """Protects the values of one project."""

    def __init__(self, contract: Contract, key: str) -> None:
        columns = contract.columns.items()
        self.hashed = frozenset(name for name, column in columns if column.sensitive == "hash")
        self.dropped = frozenset(name for name, column in columns if column.sensitive == "drop")
        if self.hashed and len(key) < _LEAST_KEY:
            raise BadOption(f"COLLECTOR_HASH_KEY_FILE: {contract.project} has columns to hash, which needs a key of at "
                            f"least {_LEAST_KEY} characters")  # fmt: skip
        self._key = key.encode()

    @property
    def names(self) -> frozenset[str]:
        """The columns whose values nobody may see."""
        return self.hashed | self.dropped

    def hash(self, name: str, value: str) -> str:
        """Hash a value; the column is part of it, so that equal values of two columns stay apart."""
        found = hmac.new(self._key, f"{name}\0{value}".encode(), hashlib.sha256).hexdigest()
        return MARK + found[:_DIGITS]

    def shield(self, name: str) -> Callable[[Any], Any] | None:
        """Return what happens to a column's values; None where they stay as they are."""
        if name in self.dropped:
            return lambda _: None
        if name in self.hashed:
            return lambda value: None if value is None else self.hash(name, value)
        return None

    def hidden(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a rejected record as it may be kept: what is to be dropped is gone, what is to be hashed is."""
        kept = {name: value for name, value in record.items() if name not in self.dropped}
        for name in self.hashed & kept.keys():
            if kept[name] is not None:
                kept[name] = self.hash(name, str(kept[name]))
        return kept
