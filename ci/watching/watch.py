"""
One look at a live release, and what follows from it.

What is about to be done is kept before it is done: a watch that dies between two lines is settled by the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ci.errors import Outcome, StepError, Unavailable
from ci.ledger.event import moment_of
from ci.ledger.interface import By
from ci.promotion.rollback import Retreat, roll_back
from ci.promotion.words import mark
from ci.report import Check, Found, Result
from ci.rollout.interface import Answer, Running
from ci.rollout.staying import ended, steady
from ci.watching.rules import Decision, Todo, cause_of, decide
from ci.watching.state import Demotion, Look

if TYPE_CHECKING:
    from datetime import datetime

    from ci.ledger.history import History
    from ci.params_watching import Watching
    from ci.promotion.records import Records
    from ci.rollout.interface import Question, Verdict, Verifier
    from ci.watching.state import Keeper, Memory

_OUTCOMES = {
    Todo.WELL: Outcome.PASSED, Todo.UNSURE: Outcome.INCONCLUSIVE, Todo.SUSPECT: Outcome.INCONCLUSIVE,
    Todo.QUIET: Outcome.REJECTED, Todo.STUCK: Outcome.REJECTED, Todo.DEMOTE: Outcome.REJECTED,
}  # fmt: skip
_FOUND = {Answer.NOT_WORSE: Found.PASSED, Answer.WORSE: Found.REJECTED}


class Watched(Running, Protocol):
    """What runs, and what may be asked of it."""

    def question(self) -> Question | None:
        """Ask what may be asked of what runs now; None if nothing does."""


@dataclass(frozen=True)
class Post:
    """What a watch stands on: who runs, who looks, who remembers."""

    environment: str
    running: Watched
    verifier: Verifier
    records: Records
    keeper: Keeper
    policy: Watching


def watch(project: str, post: Post, by: By, *, dry_run: bool = False) -> Result:
    """
    Look once; take the release back if enough looks agree.

    Raises:
        BadInput: what the watch remembers cannot be read.
        Unavailable: the environment or who should be asked does not answer; nothing was decided.
    """
    memory, left_over = (post.keeper.read(), []) if dry_run else _settled(project, post, by)
    question = post.running.question()
    if question is None:
        return Result(f"nothing runs in {post.environment}", Outcome.INCONCLUSIVE, checks=left_over)
    if question.baseline is not None or post.running.actual().held_by:
        busy = f"{question.candidate.release.name} is on its way into {post.environment}: its rollout looks at it"
        return Result(busy, Outcome.INCONCLUSIVE, checks=left_over)
    history, heard = _history(post, project)
    seen = _stayed(question, post.verifier.verify(question), memory, _stay(question, history, post))
    now = post.records.clock()
    memory = memory.seeing(_look(question, seen, history, post, now))
    if not dry_run:
        post.keeper.write(memory)
    decision = decide(memory, post.policy, now, _way_back(history, post, memory), _moved(history, post))
    told = _told(question, seen, decision, [*left_over, *heard], memory)
    if decision.todo is not Todo.DEMOTE or decision.to is None:
        return told
    if dry_run:
        return told.because(message=f"{told.message}; would go back to v{decision.to} (--dry-run)")
    return _demote(project, post, by, memory, decision, told)


def _look(question: Question, seen: Verdict, history: History, post: Post, now: datetime) -> Look:
    return Look(at=now, version=question.candidate.release.version, stay=_stay(question, history, post), answer=seen.answer,
                cause=cause_of(seen, post.policy), message=seen.message[:500], restarts=dict(question.restarts))  # fmt: skip


def _stay(question: Question, history: History, post: Post) -> int:
    live = history.live(post.environment)
    return live.number if live and live.version == question.candidate.release.version else 0


def _stayed(question: Question, seen: Verdict, memory: Memory, stay: int) -> Verdict:
    """Call it worse if servers ended by themselves since the last look, however soon they were up again."""
    before = memory.restarts(question.candidate.release.version, stay)
    return seen if before is None else steady(seen, ended(before, question.restarts))


def _demote(project: str, post: Post, by: By, memory: Memory, decision: Decision, told: Result) -> Result:
    last = memory.looks[-1]
    reason = f"watch: {decision.message}"[:500]
    begun = Demotion(at=last.at, version=last.version, stay=last.stay, to=str(decision.to), cause=decision.cause, reason=reason)  # fmt: skip
    memory = memory.beginning(begun)
    post.keeper.write(memory)
    wish = Retreat(post.environment, by.actor, decision.to, reason, build=by.build)
    try:
        moved = roll_back(project, wish, post.running, post.records)
    except StepError:  # nothing moved: the next look may try again
        post.keeper.write(memory.but(demotions=memory.demotions[:-1]))
        raise
    checks = [*told.checks, *moved.checks]
    if moved.outcome is Outcome.REJECTED or moved.data.get("moved") is False:  # somebody was quicker
        post.keeper.write(memory.but(demotions=memory.demotions[:-1]))
        return told.because(message=f"{told.message}; {moved.message}", checks=checks, hint=moved.hint)
    if moved.outcome is not Outcome.PASSED:
        return _not_back(post, memory, moved, told.because(checks=checks))
    memory = memory.with_last(begun.model_copy(update={"status": "done"}))
    post.keeper.write(memory)
    memory, marks = _marked(project, post, by, memory)
    data = {**told.data, "demoted": begun.version, "to": decision.to, "cause": decision.cause}
    message = f"{project}@v{begun.version} was taken back: {decision.message}; v{decision.to} is live again"
    hint = _HINTS.get(decision.cause, "")
    return told.because(outcome=Outcome.ROLLED_BACK, message=message, checks=[*checks, *marks], data=data, hint=hint)


def _not_back(post: Post, memory: Memory, moved: Result, told: Result) -> Result:
    """Tell that the way back failed; it counts for the quiet time, or a release that does not start would be tried for ever."""
    if moved.outcome is Outcome.ROLLED_BACK:  # the one to go back to did not come up: the worse one kept its traffic
        post.keeper.write(memory.with_last(memory.demotions[-1].model_copy(update={"status": "failed"})))
    hint = moved.hint or "call somebody: docs/how-to/roll-back.md"
    message = f"{told.message}; {moved.message}"
    return told.because(message=message, hint=hint, outcome=Outcome.NOT_RESTORED)


_HINTS = dict.fromkeys(("quality", "drift"), "`python -m steps.retrain` learns it anew, if there is newer data")


def _settled(project: str, post: Post, by: By) -> tuple[Memory, list[Check]]:
    """End what a watch that died had begun: what runs tells whether traffic had moved."""
    memory = post.keeper.read()
    if memory.demotions and (last := memory.demotions[-1]).status == "begun":
        gone = post.running.actual().live != last.version
        memory = memory.with_last(last.model_copy(update={"status": "done" if gone else "failed"}))
        post.keeper.write(memory)
    return _marked(project, post, by, memory)


def _marked(project: str, post: Post, by: By, memory: Memory) -> tuple[Memory, list[Check]]:
    """Tell the ledger which releases are bad; what it cannot be told now waits here."""
    checks, kept = [], []
    for item in memory.demotions:
        if item.marked or item.status != "done":
            kept.append(item)
            continue
        try:
            said = mark(project, item.version, post.records.ledger, By(by.actor, item.reason, by.build), bad=True)
            checks.append(Check("bad mark", Found.PASSED, said.message))
            kept.append(item.model_copy(update={"marked": True}))
        except StepError as error:
            checks.append(
                Check("bad mark", Found.WARNED, f"v{item.version} is bad, and the ledger does not know: {error}")
            )
            kept.append(item)
    if kept != memory.demotions:
        memory = memory.but(demotions=kept)
        post.keeper.write(memory)
    return memory, checks


def _history(post: Post, project: str) -> tuple[History, list[Check]]:
    try:
        return post.records.ledger.history(project), []
    except Unavailable as error:
        check = Check("ledger", Found.WARNED, f"{error}: decided by what this clone knows of it")
        return post.records.ledger.history(project, offline=True), [check]


def _way_back(history: History, post: Post, memory: Memory) -> str | None:
    """Return the last release that was live here, verified, and bears no mark: neither the ledger's nor ours."""
    leaving, shunned = memory.looks[-1].version, memory.shunned()
    for stay in reversed(history.assigned(post.environment)):
        good = history.verified(stay) and not history.bad(stay.version)
        if stay.version != leaving and stay.version not in shunned and good:
            return stay.version
    return None


def _moved(history: History, post: Post) -> datetime | None:
    """Return when anybody last went back here, as far as the ledger knows."""
    backs = [stay for stay in history.assigned(post.environment) if stay.how.startswith("rolled back")]
    return moment_of(backs[-1].when) if backs else None


def _told(question: Question, seen: Verdict, decision: Decision, heard: list[Check], memory: Memory) -> Result:
    name, last = question.candidate.release.name, memory.looks[-1]
    own = Check("watch", _FOUND.get(seen.answer, Found.INCONCLUSIVE), decision.message,
                observed=decision.worse, n=decision.counted)  # fmt: skip
    facts = {"release": name, "answer": str(seen.answer), "decision": str(decision.todo), "cause": decision.cause}
    data = {
        "answer": str(seen.answer),
        "decision": str(decision.todo),
        "cause": decision.cause,
        "at": last.at.isoformat(),
    }
    return Result(f"{name} in {question.environment}: {decision.message}", _OUTCOMES[decision.todo],
                  checks=[*heard, *seen.checks, own], facts=facts, data=data, inputs=dict(seen.evidence))  # fmt: skip
