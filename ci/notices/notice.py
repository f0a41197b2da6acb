"""A notice: what others are told of one event, in one format; docs/reference/notifications.md describes it."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints

from ci.files import to_json
from ci.params import Model, Name, ProjectName, Sha256
from ci.params_notices import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

REPLAY_S = 300
SIGNATURE, TIMESTAMP, IDENTITY = "X-Slipway-Signature", "X-Slipway-Timestamp", "X-Slipway-Notice"
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=1000)]
_SIGNS = {0: "✓", 3: "✗", 4: "?", 6: "↩"}


class Notice(Model):
    """One event; `id` stays the same however often it is delivered."""

    schema_version: Literal[1] = 1
    id: Sha256
    kind: Kind
    project: ProjectName
    environment: Name | None = Field(None, description="Null where it is about data.")
    release: Line | None = Field(None, description="flights@v1.4.0, flights-data@v1.2.0, where it is about one.")
    outcome: Line = Field(description="The step's outcome, such as passed or rolled back.")
    exit_code: int = Field(ge=0, le=255)
    message: Line
    hint: Line = ""
    details: list[Line] = Field(default_factory=list, max_length=30, description="What arrived wrong, with rows.")
    actor: Line | None = None
    build: Line | None = Field(None, description="URL of the build.")
    at: datetime


def body(notice: Notice, style: str) -> bytes:
    """Spell a notice as its receiver takes it."""
    document: Any = notice.model_dump(mode="json") if style == "json" else {"text": as_text(notice)}
    return to_json(document).encode()


def as_text(notice: Notice) -> str:
    """Say it in Slack's markup; what others wrote can neither format nor call anybody."""
    where = f" in *{_plain(notice.environment)}*" if notice.environment else ""
    head = f"{_SIGNS.get(notice.exit_code, '!')} *{_plain(notice.project)}*{where}"
    lines = [f"{head}: {notice.kind} {_plain(notice.outcome)}", _plain(notice.message)]
    lines += [f"_{_plain(notice.hint)}_"] if notice.hint else []
    lines += [f"• {_plain(line)}" for line in notice.details]
    lines += [f"by {_plain(notice.actor)}"] if notice.actor else []
    lines += (
        [f"<{_plain(notice.build)}|build>"] if notice.build and notice.build.startswith(("http://", "https://")) else []
    )
    return "\n".join(lines)


def _plain(text: str | None) -> str:
    """Escape as Slack asks (&, <, >), and take the meaning from *, _, ~, ` and |."""
    escaped = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"{sign}\u200b" if sign in "*_~`" else "¦" if sign == "|" else sign for sign in escaped)


def headers(notice: Notice, raw: bytes, secret: str | None, now: datetime) -> dict[str, str]:
    """Return what goes with a body: its identity, the moment of this delivery, and the signature of both."""
    stamp = str(int(now.timestamp()))
    found = {"Content-Type": "application/json", TIMESTAMP: stamp, IDENTITY: notice.id}
    return {**found, SIGNATURE: signature(secret, stamp, raw)} if secret else found


def signature(secret: str, stamp: str, raw: bytes) -> str:
    """Sign `<timestamp>.<body>` with HMAC-SHA256, in hex after `sha256=`."""
    return "sha256=" + hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()


def genuine(secret: str, given: Mapping[str, str], raw: bytes, now: datetime) -> bool:
    """
    Say whether a body comes from who knows the secret, and was sent within five minutes of `now`.

    For receivers: whoever also keeps the ids of the last five minutes cannot be told the same thing twice.
    """
    stamp = given.get(TIMESTAMP, "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    near = abs(now - datetime.fromtimestamp(int(stamp), now.tzinfo)) <= timedelta(seconds=REPLAY_S)
    return near and hmac.compare_digest(signature(secret, stamp, raw), given.get(SIGNATURE, ""))
