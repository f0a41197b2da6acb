"""What is kept of a verdict, and the same verdict from it again, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.files import to_json
from ci.params import Model, parse
from ci.params_verification import Rule, Verification
from ci.report import Found, finite
from ci.rollout.interface import Answer
from ci.verification.interface import BASELINE, CANARY
from ci.verification.judge import Judge, Judged
from ci.verification.reference import Reference
from ci.verification.sequential import METHOD
from ci.verification.windows import Windows

if TYPE_CHECKING:
    from ci.rollout.interface import Question
    from ci.verification.interface import Query


def spelled(judged: Judged) -> dict[str, Any]:
    """Spell a verdict so that equal ones have equal bytes."""
    return {
        "answer": judged.answer.value,
        "message": judged.message,
        "checks": [[c.name, c.outcome.value, c.message, c.n, dict(sorted(c.extra.items()))] for c in judged.checks],
    }


def of_question(question: Question) -> dict[str, Any]:
    """Spell what was asked."""
    arms = {CANARY: question.candidate, BASELINE: question.baseline}
    return {
        "project": question.project,
        "environment": question.environment,
        "weight": question.weight,
        "since": question.since,
        "spends": question.spends,
        "arms": {
            role: {"release": arm.release.name, "bundle": arm.release.bundle, "cluster": arm.cluster,
                   "addresses": list(arm.addresses)}
            for role, arm in arms.items()
            if arm
        },
    }  # fmt: skip


def of_query(query: Query) -> dict[str, Any]:
    """Spell what a source was asked."""
    cells = {cell: str(selector) for cell, selector in query.cells.items()}
    beat = str(query.heartbeat) if query.heartbeat else None
    return {"metric": query.metric, "arm": query.arm, "source": query.source, "cells": cells, "heartbeat": beat}


class _Kept(Model):
    """What a replay needs of an evidence file."""

    method: str
    policy: Verification
    rules: dict[str, Rule]
    order: list[str]
    windows: dict[str, dict[str, Any]]
    complaints: list[str]
    accepted: list[tuple[str, str, str]]
    verdict: dict[str, Any]
    references: dict[str, Reference] | None = None


def replay(document: Any, where: str) -> tuple[Judged, Judge | None]:
    """
    Judge stored windows again, as they were judged then; no judge where acceptance had decided.

    Raises:
        BadInput: the file is not evidence, is of another method, or its windows do not give the verdict that it tells.
    """
    if not isinstance(document, dict):
        raise BadInput(f"{where}: not an evidence file")
    kept = parse(_Kept, {key: document.get(key) for key in _Kept.model_fields}, where)
    if kept.method != METHOD:
        raise BadInput(f"{where}: judged by {kept.method[:60]}, and this is {METHOD}")
    broken = next((item for item in kept.accepted if item[1] == Found.REJECTED.value), None)
    if broken:
        judged, judge = Judged(Answer.WORSE, f"{broken[0]}: {broken[2]}", [], []), None
    else:
        if sorted(kept.order) != sorted(kept.rules):
            raise BadInput(f"{where}: order and rules name different metrics")
        judge = Judge({name: kept.rules[name] for name in kept.order}, kept.policy, kept.references)
        for name, found in kept.windows.items():
            if name not in kept.rules:
                raise BadInput(f"{where}: windows of {name[:60]}, for which there is no rule")
            judge.add(Windows.from_json(name, found))
        judged = judge.judged(kept.complaints)
    if to_json(finite(spelled(judged))) != to_json(kept.verdict):
        raise BadInput(f"{where}: tells {kept.verdict.get('answer')!r}, but its windows say {judged.answer.value!r}")
    return judged, judge
