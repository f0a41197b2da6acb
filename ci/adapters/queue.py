"""The door to events that the ledger has not heard of: files with the environment's state, one each, never half of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ci.errors import BadInput
from ci.files import read_json, said_plainly, write_json
from ci.ledger.event import Draft
from ci.promotion.interface import Waiting


@dataclass(frozen=True)
class FolderQueue:
    """`<root>/<key>.json`."""

    root: Path

    @classmethod
    def of(cls, environment_root: str, environment: str, project: str) -> FolderQueue:
        """Return the queue beside an environment's state."""
        return cls(Path(environment_root, "ledger", environment, project))

    @property
    def place(self) -> str:
        """Where they lie."""
        return str(self.root)

    def put(self, waiting: Waiting) -> None:
        """Keep one, in the place of the one with the same key."""
        document = {"ended": waiting.ended, "draft": waiting.draft.model_dump(mode="json", exclude_defaults=True)}
        write_json(self.root / f"{waiting.key}.json", document)

    def drop(self, key: str) -> None:
        """Forget one."""
        path = self.root / f"{key}.json"
        with said_plainly(path):
            path.unlink(missing_ok=True)

    def waiting(self) -> list[Waiting]:
        """List them, first to last."""
        return [_read(path) for path in sorted(self.root.glob("*.json"))]


def _read(path: Path) -> Waiting:
    document = read_json(path)
    try:
        return Waiting(path.stem, Draft.model_validate(document["draft"]), ended=document["ended"] is True)
    except (ValidationError, LookupError, TypeError) as error:
        raise BadInput(
            f"{path}: not an event that waits for the ledger", hint="move it away, and look into it"
        ) from error
