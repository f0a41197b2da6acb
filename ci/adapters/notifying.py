"""Tells others how a step ended; the step's own end stays as it is, whatever becomes of the notice."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters.webhook import FolderOutbox, Webhook
from ci.errors import BadInput, Outcome, StepError, Unavailable
from ci.files import held, sha256_of
from ci.notices.delivery import Post, flush, tell
from ci.notices.notice import Notice
from ci.params import parse
from ci.report import Check, Found, Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.params_notices import Kind, Notices
    from ci.shared import Shared


@dataclass(frozen=True, slots=True)
class About:
    """What a notice is about."""

    kind: Kind
    project: str
    environment: str | None
    actor: str | None = None
    release: str | None = None


def told(
    result: Result, about: About, shared: Shared, *, quiet: bool = False, environ: Mapping[str, str] = os.environ
) -> Result:
    """Tell others of a result, unless it is `quiet`; return it with a check that says whether that worked."""
    policy = shared.notices
    url = environ.get(policy.url_env)
    if quiet or not url or about.kind not in policy.kinds or result.data.get("moved") is False:
        return result
    try:
        with _turn(policy):
            check = tell(_notice(result, about, environ), _post(policy, url, environ))
    except StepError as error:
        check = Check("notice", Found.WARNED, f"nobody was told: {error}")
    return result.because(checks=[*result.checks, check])


def delivered(shared: Shared, *, environ: Mapping[str, str] = os.environ) -> Result:
    """
    Deliver everything that waits.

    Raises:
        BadInput: nobody is named who could be told.
        Unavailable: another step delivers at the moment.
    """
    policy = shared.notices
    url = _url(policy, environ)
    with _turn(policy):
        check = flush(_post(policy, url, environ), all_of_them=True)
    return _ended(check)


def said(text: str, about: About, shared: Shared, *, environ: Mapping[str, str] = os.environ) -> Result:
    """
    Tell others something by hand.

    Raises:
        BadInput: nobody is named who could be told, or a text that no notice may have.
        Unavailable: another step delivers at the moment.
    """
    policy = shared.notices
    post = _post(policy, _url(policy, environ), environ)
    with _turn(policy):
        check = tell(_notice(Result(text), about, environ), post)
    return _ended(check)


def _ended(check: Check) -> Result:
    outcome = Outcome.PASSED if check.outcome is Found.PASSED else Outcome.UNAVAILABLE
    return Result(check.message, outcome, checks=[check], data=dict(check.extra))


def _url(policy: Notices, environ: Mapping[str, str]) -> str:
    url = environ.get(policy.url_env)
    if not url:
        raise BadInput(f"{policy.url_env}: not set in the environment", hint="docs/reference/notifications.md")
    return url


def _post(policy: Notices, url: str, environ: Mapping[str, str]) -> Post:
    hook = Webhook(url, environ.get(policy.secret_env) or None, policy)
    return Post(FolderOutbox(Path(policy.outbox)), hook.send, lambda: datetime.now(UTC), time.monotonic, policy)


def _turn(policy: Notices) -> Any:
    """Let one step deliver at a time: two would send the same letter twice."""
    return _Patient(Path(policy.outbox).with_suffix(".lock"), policy.patience_s)


class _Patient:
    """A lock that is waited for; a notice must not be lost because another step sends one."""

    def __init__(self, path: Path, patience_s: float) -> None:
        self._path, self._until = path, time.monotonic() + patience_s
        self._held: Any = None

    def __enter__(self) -> None:
        while True:
            self._held = held(self._path, "notices")
            try:
                self._held.__enter__()
            except Unavailable:
                if time.monotonic() > self._until:
                    raise
                time.sleep(0.05)
            else:
                return

    def __exit__(self, *problem: object) -> None:
        self._held.__exit__(*problem)


def _notice(result: Result, about: About, environ: Mapping[str, str]) -> Notice:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "kind": about.kind, "project": about.project, "environment": about.environment, "release": about.release,
        "outcome": str(result.outcome), "exit_code": result.outcome.exit_code, "message": _line(result.message),
        "hint": _line(result.hint), "actor": about.actor, "build": environ.get("BUILD_URL") or None,
    }  # fmt: skip
    if lines := [_line(str(line)) for line in result.data.get("details", [])][:30]:
        values["details"] = lines
    identity = sha256_of([now.isoformat(), os.getpid(), values])
    return parse(Notice, {**values, "id": identity, "at": now}, "notice")


def _line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)[:1000]
