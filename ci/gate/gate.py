"""
The gate: may this challenger become a release?

Both bundles answer the same current test set, each through its own graph and signature; stored metrics are never
compared. The verdict is `ci.gate.judge`'s, remembered in the comparisons ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ci.data import layout
from ci.errors import BadInput, Outcome
from ci.files import sha256, sha256_of
from ci.gate import anchor as anchors
from ci.gate import behaviour, card, cost, leakage, plots, told
from ci.gate.anchor import Anchor
from ci.gate.audit import audited
from ci.gate.budget import OVERLAP, Comparison, Pair, overlap, remembered, settled
from ci.gate.heldout import HeldOut
from ci.gate.judging import judge, same
from ci.gate.rules import resolve
from ci.gate.told import Duel
from ci.model.bundles import Bundle, CannotScore
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.data.rows import Array
    from ci.gate.budget import Comparisons
    from ci.gate.champion import Champion, Champions
    from ci.gate.verdict import Verdict
    from ci.progress import Progress
    from ci.project import Project
    from ci.report import Result

METHOD = 1
"""Version of the method: a verdict by another one is not remembered as the same."""


@dataclass(frozen=True)
class Workplace:
    """
    What surrounds a verdict.

    prepared        folder of the prepare stage, with test set, training set and split
    card, pictures  where the model card and the pictures go
    store           the comparisons ledger; `now` (UTC, ISO 8601) is written into it
    champions       where recorded anchors are found again; `anchor` names one, or `none`
    """

    prepared: Path
    card: Path
    pictures: Path
    store: Comparisons
    now: str
    progress: Progress
    champions: Champions | None = None
    anchor: str | None = None


def gate(project: Project, challenger: Path, champion: Champion, work: Workplace) -> Result:
    """
    Judge the bundle in `challenger` against `champion`; write the model card.

    Raises:
        BadInput: a bundle that is not whole, a test set or a policy that nothing can be told from.
        Unavailable: the comparisons ledger does not answer.
    """
    work.card.unlink(missing_ok=True)
    resolve(project.params.gate, project.contract.task)  # a wrong policy is told before anything is read
    rows = HeldOut(work.prepared / layout.TEST, project.contract)
    theirs = Bundle(champion.folder) if champion.folder else None
    duel = Duel(project, rows, Bundle(challenger), theirs, champion)
    _same_question(duel)
    found = _found(duel, champion, work)
    card.write(duel, found, work.card)
    outputs = {str(work.card): sha256(work.card)}
    return replace(found, outputs=outputs, pictures=plots.draw(found, work.pictures))


def _found(duel: Duel, champion: Champion, work: Workplace) -> Result:
    if duel.champion is None:
        why = Check("champion", Found.SKIPPED if champion.asked_for else Found.WARNED, f"{champion.source}: {_FIRST}")
        return _first_release(duel, why, work)
    if duel.champion.digest == duel.challenger.digest:
        return told.result(duel, same(f"challenger and champion are the same bundle, {duel.challenger.digest[:12]}"))
    since = _anchor(duel, duel.champion, work)
    pair = _pair(duel, duel.champion, since)
    if former := remembered(work.store.of(duel.project.name, duel.rows.digest), pair):
        return told.kept(former, duel.project.params.gate, work.store, again=True)
    try:
        answers = duel.rows.answers(duel.champion)
    except CannotScore as error:
        return _first_release(duel, _unusable(duel, "champion", error), work)
    return _compared(duel, duel.champion, answers, pair, since, work)


def _anchor(duel: Duel, champion: Bundle, work: Workplace) -> Anchor | Check | None:
    """Find what the challenger is held to beside the champion; None where that is the champion itself."""
    name = duel.project.name
    if duel.project.params.gate.anchor_margins is None:
        return Check("anchor", Found.SKIPPED, "the policy holds to no anchor")
    past = work.store.by(name, champion.digest)
    return anchors.found(name, champion, past, work.champions, work.anchor)


_FIRST = "judged as a first release, by floors and skill"


def _same_question(duel: Duel) -> None:
    for whose, bundle in (("challenger", duel.challenger), ("champion", duel.champion)):
        if bundle and bundle.task is not duel.project.contract.task:
            raise BadInput(
                f"{bundle.folder}: a {bundle.task} model as {whose}, the contract says {duel.project.contract.task}"
            )


def _pair(duel: Duel, champion: Bundle, since: Anchor | Check | None) -> Pair:
    policy = duel.project.params.gate
    audit = None if policy.audit is None else sha256(Path(policy.audit))
    contract = duel.project.contract.model_dump(mode="json", exclude={"accepted", "owner", "description"})
    anchor = since.bundle.digest if isinstance(since, Anchor) else since and since.message
    digest = sha256_of([METHOD, policy.model_dump(mode="json"), contract, audit, anchor])
    return Pair(challenger=duel.challenger.digest, champion=champion.digest, policy=digest)


def _unusable(duel: Duel, whose: str, error: CannotScore) -> Check:
    """A champion (or an anchor) that cannot answer is told, and means what the policy says that it means."""
    message = f"cannot score today's rows: {error}"
    if duel.project.params.gate.champion_unusable == "first_release":
        return Check(whose, Found.WARNED, message + (f"; {_FIRST}" if whose == "champion" else ""))
    return Check(whose, Found.INCONCLUSIVE, f"{message}; gate.champion_unusable says what that means")


def _first_release(duel: Duel, why: Check, work: Workplace) -> Result:
    """Judge the challenger alone."""
    _say(duel, work)
    answers, policy = duel.rows.answers(duel.challenger), duel.project.params.gate
    verdict = judge(duel.rows.y, answers, **duel.rows.given(policy), more=[why, *_more(duel, answers, None)])
    if verdict.outcome is Outcome.PASSED:
        verdict = replace(verdict, message=f"first release, floors and skill only; {verdict.message}")
    return told.result(duel, verdict, answers)


def _compared(
    duel: Duel, champion: Bundle, theirs: Array, pair: Pair, since: Anchor | Check | None, work: Workplace
) -> Result:
    """Judge the challenger against the champion, as the next comparison on this test set."""
    _say(duel, work)
    policy, key = duel.project.params.gate, (duel.project.name, duel.rows.digest)
    ours, given = duel.rows.answers(duel.challenger), duel.rows.given(policy)
    anchor, lost = _since(duel, since)
    duel = replace(duel, anchor=since if isinstance(since, Anchor) and not lost else None)
    more = [*lost, *_more(duel, ours, champion), *_reuse(duel, work.store)]

    @cache
    def decided(number: int) -> Verdict:
        return judge(duel.rows.y, ours, theirs, anchor=anchor, **given, comparison=number, more=more)

    def made(number: int) -> Comparison:
        return told.comparison(duel, decided(number), told.result(duel, decided(number), ours, theirs), pair, work.now)

    verdict = decided(len(work.store.of(*key)) + 1)
    if verdict.comparison is None:  # NaN, or the same answers: nothing was learned from the test set
        return told.result(duel, verdict, ours, theirs)
    found = settled(work.store, *key, pair, made)
    return told.kept(found, policy, work.store, again=False)


def _since(duel: Duel, since: Anchor | Check | None) -> tuple[Array | None, list[Check]]:
    """Return the anchor's answers, or what there is to say in their place."""
    if not isinstance(since, Anchor):
        return None, [since] if since else []
    if since.bundle.digest == duel.challenger.digest:  # back to where losses add up from
        return None, []
    try:
        return duel.rows.answers(since.bundle), []
    except CannotScore as error:
        return None, [_unusable(duel, "anchor", error)]


def _more(duel: Duel, ours: Array, champion: Bundle | None) -> Iterator[Check]:
    """Everything that is asked beside the statistics."""
    policy, contract, rows = duel.project.params.gate, duel.project.contract, duel.rows
    yield from _refusals(duel, champion)
    if np.isfinite(ours).all():
        yield from behaviour.checks(duel.challenger, rows.frame, policy.behaviour, rows.classes(duel.challenger))
    yield from leakage.checks(duel.challenger, duel.project, rows)
    if champion:
        yield from leakage.trained_before(champion, rows.split, "champion")
    yield from cost.checks(duel.challenger, rows.frame, policy.cost)
    if policy.audit is not None:
        yield from audited(policy.audit, contract, policy, duel.challenger, champion)


def _refusals(duel: Duel, champion: Bundle | None) -> Iterator[Check]:
    """Rows that a server would turn away are scored all the same; who reads the figures should know."""
    for whose, bundle in (("challenger", duel.challenger), ("champion", champion)):
        if bundle and (count := bundle.refused(duel.rows.frame)):
            message = f"a server of the {whose} would refuse {count:,} of the test rows"
            yield Check(f"refusals of the {whose}", Found.WARNED, message, count, 0, n=len(duel.rows.frame))


def _reuse(duel: Duel, store: Comparisons) -> Iterator[Check]:
    """Moving a test period by a day makes a new file, not new evidence: the budget cannot see that, people can."""
    shared = [
        (count, share)
        for item, count in store.others(duel.project.name, duel.rows.digest)
        if (share := overlap(duel.rows.window, item.window)) > OVERLAP
    ]
    if shared:
        count, most = sum(number for number, _ in shared), max(share for _, share in shared)
        message = f"{count} comparisons were made on test sets that cover up to {most:.0%} of this one's period"
        yield Check("fresh test period", Found.WARNED, message, most, OVERLAP, n=count)


def _say(duel: Duel, work: Workplace) -> None:
    work.progress.line(f"gate {duel.project.name}: {len(duel.rows.frame):,} test rows; champion: {duel.source}")
