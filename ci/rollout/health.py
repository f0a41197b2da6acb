"""The simplest verification: a release that answers example rows through the door, without errors, is well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from ci.report import Check, Found
from ci.rollout.interface import Answer, Verdict

if TYPE_CHECKING:
    from ci.rollout.interface import Arm, Question

PROBES = 5
POLL_S = 0.2


class Prober(Protocol):
    """Asks servers and the router."""

    def example(self, arm: Arm) -> Any:
        """Return a row that the release takes, from its own description; None if it tells none."""

    def predict(self, door: str, row: Any, version: str) -> tuple[int, str]:
        """Send a row to one release through the door; return the status and the release that answered."""

    def counters(self, admin: str, cluster: str) -> tuple[int, int]:
        """Return how many requests a release has had, and how many of them ended with 5xx."""


class HealthVerifier:
    """Satisfies `Verifier`; fewer than `min_requests` within `patience_s` is NOT_ENOUGH, never a pass."""

    def __init__(self, prober: Prober, *, min_requests: int = PROBES, patience_s: float = 10.0) -> None:
        """Take what asks; its own requests count towards `min_requests`."""
        self._prober, self._min, self._patience_s = prober, min_requests, patience_s

    def verify(self, question: Question) -> Verdict:
        """Send example rows, then look at the counters."""
        arm = question.candidate
        before = self._prober.counters(question.admin, arm.cluster)
        row = self._prober.example(arm)
        if row is None:
            return _verdict(Answer.INVALID, "example", f"{arm.cluster}: tells no example row")
        for _ in range(PROBES):
            status, said = self._prober.predict(question.door, row, arm.release.version)
            if status != 200:
                return _verdict(Answer.WORSE, "example", f"{arm.cluster}: answers an example row with {status}")
            if f"@{arm.release.version};" not in said:
                return _verdict(Answer.INVALID, "release", f"{arm.cluster}: {said or 'nobody'} answered in its place")
        return self._counted(question, before)

    def _counted(self, question: Question, before: tuple[int, int]) -> Verdict:
        cluster, deadline = question.candidate.cluster, time.monotonic() + self._patience_s
        while True:
            now = self._prober.counters(question.admin, cluster)
            requests, errors = now[0] - before[0], now[1] - before[1]
            if errors:
                return _verdict(Answer.WORSE, "errors", f"{cluster}: {errors} of {requests} requests ended with 5xx")
            if requests >= self._min:
                return _verdict(Answer.NOT_WORSE, "errors", f"{cluster}: no 5xx in {requests} requests")
            if time.monotonic() > deadline:
                said = f"{cluster}: {requests} requests in {self._patience_s:g} s, {self._min} are needed"
                return _verdict(Answer.NOT_ENOUGH, "requests", said)
            time.sleep(POLL_S)


def _verdict(answer: Answer, name: str, message: str) -> Verdict:
    found = {Answer.NOT_WORSE: Found.PASSED, Answer.WORSE: Found.REJECTED}.get(answer, Found.INCONCLUSIVE)
    return Verdict(answer, message, [Check(f"health {name}", found, message)])
