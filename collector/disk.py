"""Room on the disk: deliveries are refused while there is still enough of it to go on and to be put in order."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from collector.errors import Full

if TYPE_CHECKING:
    from pathlib import Path

    from collector.settings import Settings
    from collector.store.interface import Store

_MB = 2**20
_GROWTH = 2  # bytes on the disk for one that is sent: row, indexes, log
_AHEAD = 16 * _MB  # what the log may take before it is folded in


class Disk:
    """Adds up what was taken since the last look but one: what was taken before the last may not have been written by then."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._store, self._folder = store, settings.folder
        self._most, self._least_free = settings.max_disk_mb * _MB, settings.min_free_mb * _MB
        database = settings.database
        self._places = [self._folder, *([database.absolute().parent] if database else [])]
        self._before = self._since = 0
        self.used = self.free = 0

    def room(self, size: int) -> None:
        """
        Say whether a delivery of so many bytes may be taken.

        Raises:
            Full: there would be too little left.
        """
        need = (self._before + self._since + size) * _GROWTH + _AHEAD
        if self._least_free and self.free - need < self._least_free:
            raise Full(
                f"{self.free // _MB:,} MB are free on the device, and {self._least_free // _MB:,} MB are kept free"
            )
        if self._most and self.used + need > self._most:
            raise Full(f"the store takes {self.used // _MB:,} of the {self._most // _MB:,} MB that it may take")
        self._since += size

    def look(self) -> None:
        """Measure; in a thread, because a database may be slow to say how large it is."""
        self._before, self._since = self._since, 0
        self.free = min(shutil.disk_usage(_existing(place)).free for place in self._places)
        self.used = (self._store.size() or 0) + sum(f.stat().st_size for f in self._folder.glob("*/*.parquet"))


def _existing(place: Path) -> Path:
    place = place.absolute()
    return place if place.exists() else _existing(place.parent)
