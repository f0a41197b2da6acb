"""From the address of a store to the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from collector.settings import POSTGRES, SQLITE

if TYPE_CHECKING:
    from collector.store.interface import Store


def opened(address: str, *, timeout_s: float = 30.0) -> Store:
    """
    Open a store; its tables are made where there are none.

    Raises:
        BadOption: the address cannot be used.
        Unreachable: the database does not answer.
    """
    if address.startswith(POSTGRES):
        from collector.store.postgres import PostgresStore  # its driver is only needed there

        return PostgresStore(address, timeout_s)
    from collector.store.sqlite import SqliteStore

    return SqliteStore(Path(address.removeprefix(SQLITE)))
