"""What `steps.pairs` does: read pairs of answers from an environment, add them to those that were read before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ci.adapters import environments
from ci.adapters.pairs import ServerPairs
from ci.adapters.wanted import environment
from ci.errors import BadInput, Outcome
from ci.files import said_plainly, write_text
from ci.report import Check, Found, Result, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ci.rollout.pairs import Joined
    from ci.shared import Shared

MOST = 100_000  # pairs in the file; the oldest leave
SHOWN = 10


def collect(project: str, name: str, path: Path, shared: Shared) -> Result:
    """
    Read what the servers hold, add it to the file, and tell what differs.

    Raises:
        BadInput: no such environment, or the file is not one of pairs.
        Unavailable: environment or servers do not answer.
    """
    place = environment(name, shared)
    question = environments.running(project, place, shared).question()
    if question is None or not question.shadow:
        told = f"{project} in {name}: no shadow runs"
        return Result(told, Outcome.INCONCLUSIVE, f"python -m steps.deploy --env {name} --strategy shadow …",
                      checks=[Check("shadow", Found.INCONCLUSIVE, told)])  # fmt: skip
    found = ServerPairs(question, environments.sender(project, place, shared)).now()
    kept = _added(_before(path, question.shadow), found, question.shadow)
    write_text(path, "".join(json.dumps(item) + "\n" for item in kept))
    return _told(f"{project} in {name}", kept, found, path)


def _before(path: Path, mark: str) -> list[dict[str, Any]]:
    """Return the pairs of the same rollout that were read before."""
    if not path.is_file():
        return []
    with said_plainly(path):
        lines = path.read_text("utf-8").splitlines()
    try:
        found = [json.loads(line) for line in lines]
        return [item for item in found if item["rollout"] == mark]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a file of pairs", hint="remove it") from error


def _added(before: Sequence[dict[str, Any]], found: Joined, mark: str) -> list[dict[str, Any]]:
    known = {item["request_id"] for item in before}
    new = [
        {"rollout": mark, **pair.document(), "apart": pair.apart()}
        for pair in found.pairs
        if pair.request_id not in known
    ]
    return [*before, *new][-MOST:]


def _told(where: str, kept: Sequence[dict[str, Any]], found: Joined, path: Path) -> Result:
    apart = [item for item in kept if item["apart"]]
    failed = [item for item in kept if item["shadow"]["status"] >= 500 > item["baseline"]["status"]]
    most = max((item["apart"] for item in apart), default=0.0)
    outcome = Outcome.PASSED if kept else Outcome.INCONCLUSIVE
    message = (
        f"{where}: {len(kept)} pairs of answers, {len(apart)} differ, by {most:.3g} at most; the shadow failed in "
        f"{len(failed)}" if kept else f"{where}: no pair of answers yet"
    )  # fmt: skip
    notes = {"answered by one alone": found.alone, "of an id that came twice": found.ambiguous}
    rows = [
        (item["request_id"], item["baseline"]["answer"], item["shadow"]["answer"], item["apart"])
        for item in sorted(apart, key=lambda item: -item["apart"])[:SHOWN]
    ]
    table = Table("Furthest apart", ("request", "live", "shadow", "apart"), rows)
    check = Check("pairs", Found.PASSED if kept else Found.INCONCLUSIVE, message, n=len(kept))
    return Result(message, outcome, "" if kept else "wait for callers, or python -m steps.load", checks=[check],
                  facts={"file": path.as_posix(), **notes}, tables=[table] if rows else [],
                  data={"pairs": len(kept), "differ": len(apart), "most": most, "failed": len(failed)})  # fmt: skip
