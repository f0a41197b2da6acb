"""One row, asked of everything that a release was made into: all must give the number of the estimator's own bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ci.errors import Outcome, Unavailable
from ci.packaging.smoke import agrees
from ci.report import Check, Found, Result, Table, worst

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.releases.record import Packaged, Release


class Asker(Protocol):
    """Gets one packaging from where it is kept, runs it, and asks it for rows."""

    def ask(self, release: Release, packaged: Packaged, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """
        Return one answer per row.

        Raises:
            Unavailable: what it needs is not on this machine.
            BadInput: it is not there, or does not work.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What one packaging said, and how far that is from the golden answer."""

    kind: str
    check: Check
    answers: Sequence[Any] = ()


def ask(release: Release, golden: Mapping[str, Any], askers: Mapping[str, Asker]) -> Result:
    """
    Ask each packaging of a release for the golden rows; one that cannot be asked here is named, and no pass.

    Raises:
        Unavailable: none of them can be asked here.
    """
    found = [_asked(kind, release, packaged, golden, askers[kind]) for kind, packaged in release.packagings.items()]
    checks = [answer.check for answer in found]
    answered = [answer for answer in found if answer.answers]
    if not answered and worst(checks) is Outcome.PASSED:
        raise Unavailable(f"{release.name}: {checks[0].message}" if checks else f"{release.name}: has no packaging")
    rows = [[answer.kind, str(answer.answers[0]), answer.check.observed] for answer in answered]
    told = ", ".join(f"{answer.kind} {_short(answer.answers[0])}" for answer in answered)
    outcome = worst(checks)
    agreed = "all as when it was sealed" if outcome is Outcome.PASSED else "NOT all as when it was sealed"
    table = Table("The first golden row", ["asked", "answer", "largest relative difference, all rows"],
                  [["golden", str(golden["outputs"][0]), None], *rows])  # fmt: skip
    return Result(f"{release.name}: {told}: {agreed}", outcome, checks=checks, tables=[table],
                  data={answer.kind: list(answer.answers) for answer in answered})  # fmt: skip


def _asked(kind: str, release: Release, packaged: Packaged, golden: Mapping[str, Any], asker: Asker) -> Answer:
    try:
        answers = asker.ask(release, packaged, golden["rows"])
    except Unavailable as error:
        return Answer(kind, Check(kind, Found.SKIPPED, f"{error}{f'; {error.hint}' if error.hint else ''}"))
    if len(answers) != len(golden["rows"]):
        return Answer(kind, Check(kind, Found.REJECTED, f"{len(answers)} answers to {len(golden['rows'])} rows"))
    good, difference = agrees(answers, golden)
    message = f"{len(answers)} golden rows answered {'as' if good else 'not as'} when the bundle was sealed"
    outcome = Found.PASSED if good else Found.REJECTED
    return Answer(kind, Check(kind, outcome, message, difference, golden["tolerance"], n=len(answers)), answers)


def _short(answer: Any) -> str:
    return "/".join(f"{float(value):.4g}" for value in answer) if isinstance(answer, list) else f"{float(answer):.4g}"
