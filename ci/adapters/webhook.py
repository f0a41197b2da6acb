"""The door to whoever listens: one POST per notice; and the folder in which notices wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from ci.adapters.outward import exchange
from ci.errors import BadInput
from ci.files import read_json, said_plainly, write_json
from ci.notices.delivery import Letter, refused
from ci.notices.notice import body, headers
from ci.params import parse

if TYPE_CHECKING:
    from pathlib import Path

    from ci.notices.notice import Notice
    from ci.params_notices import Notices


@dataclass(frozen=True)
class Webhook:
    """One receiver; its URL may be a secret and is never told: only its host is."""

    url: str
    secret: str | None
    policy: Notices

    def send(self, notice: Notice) -> None:
        """
        Deliver; a redirect is no delivery.

        Raises:
            Unavailable: not taken. BadInput: no address that may be asked.
        """
        place = urlsplit(self.url)
        if place.scheme not in {"http", "https"} or not place.hostname:
            raise BadInput(f"{self.policy.url_env}: not an http or https address")
        raw = body(notice, self.policy.style)
        with requests.Session() as session:
            session.verify = self.policy.ca or True
            answer = exchange(
                session, "POST", self.url, data=raw, headers=headers(notice, raw, self.secret, datetime.now(UTC)),
                timeout_s=self.policy.timeout_s, private=self.policy.private,
            )  # fmt: skip
        if not 200 <= answer.status < 300:
            raise refused(answer.status, place.hostname)


@dataclass(frozen=True)
class FolderOutbox:
    """`<folder>/<moment>-<id>.json`; satisfies `ci.notices.delivery.Outbox`."""

    folder: Path

    @property
    def place(self) -> str:
        """Where it lies."""
        return str(self.folder)

    def put(self, letter: Letter) -> None:
        """Keep one."""
        write_json(self._path(letter), letter.model_dump(mode="json"))

    def drop(self, letter: Letter) -> None:
        """Forget one."""
        path = self._path(letter)
        with said_plainly(path):
            path.unlink(missing_ok=True)

    def waiting(self) -> list[Letter]:
        """Read them; their names are in the order of time."""
        return [parse(Letter, read_json(path), str(path)) for path in sorted(self.folder.glob("*.json"))]

    def _path(self, letter: Letter) -> Path:
        moment = letter.notice.at.astimezone(UTC)
        return self.folder / f"{moment:%Y%m%dT%H%M%S%f}-{letter.notice.id[:16]}.json"
