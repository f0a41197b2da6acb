"""
Files that only an environment's servers read, on its engine: in a volume, so that neither environment variables nor
labels have them, and whoever looks at a container sees where they are mounted, and not what they say.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ci.adapters.containers import PLACE, ROLE, Gone, Taken
from ci.adapters.targets import keeper

if TYPE_CHECKING:
    from ci.adapters.containers import Containers
    from ci.adapters.targets.servers import Server

_MODE = 0o400  # its owner is the user of the images


class Vault:
    """The secrets of one environment."""

    def __init__(self, engine: Containers, base: str, server: Server) -> None:
        """Name the environment by `base`; nothing is made."""
        self._engine, self._base, self._server = engine, base, server
        self.volume = f"{base}-secrets"

    def keep(self) -> bool:
        """
        Write what this machine knows; what it does not know must be there already. Say whether anything is new.

        Raises:
            BadInput: something is neither here nor there.
        """
        if not self._server.secrets:
            return False
        there = self._files()
        for name, known in self._server.secrets.items():
            if known is None and name not in there:
                raise self._server.lacking(name, self.volume)
        changed = {
            name: known for name, known in self._server.secrets.items() if known is not None and there.get(name) != known
        }  # fmt: skip
        if changed:
            self._engine.put(self._made(), keeper.FOLDER, changed, mode=_MODE)
        return bool(changed)

    def _files(self) -> dict[str, bytes]:
        with suppress(Gone):
            return self._engine.get(self.volume, keeper.FOLDER) or {}
        return self._engine.get(self._made(), keeper.FOLDER) or {} if self._engine.has_volume(self.volume) else {}

    def _made(self) -> str:
        """Return the container through which the volume is written; it is never started."""
        if self._engine.find(self.volume) is None:
            labels = {PLACE: self._base, ROLE: "secrets"}
            self._engine.volume(self.volume, labels)
            where = {self.volume: f"{keeper.FOLDER}:rw"}
            with suppress(Taken):
                self._engine.create(self.volume, keeper.image(self._engine), labels, volumes=where, read_only=False)
        return self.volume
