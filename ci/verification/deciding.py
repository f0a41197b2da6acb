"""Who is asked at a stage of a rollout, and what becomes of "not enough evidence" there; it never becomes a pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.rollout.interface import Answer, Verdict

if TYPE_CHECKING:
    from ci.params_verification import Verification
    from ci.rollout.interface import Question, Verifier


class FirstOfAll:
    """A verifier that asks one where nothing was live before, and so nobody could call, and another where something was."""

    def __init__(self, first: Verifier, later: Verifier) -> None:
        """Take both."""
        self._first, self._later = first, later

    def verify(self, question: Question) -> Verdict:
        """
        Ask the one that fits.

        Raises:
            Unavailable, BadInput: as that one says.
        """
        return (self._later if question.baseline else self._first).verify(question)


class AtDeadline:
    """A verifier that takes "not enough evidence" as the policy wants it taken; it never becomes a pass."""

    def __init__(self, verifier: Verifier, policy: Verification) -> None:
        """Take whom to ask, and the policy."""
        self._verifier, self._policy = verifier, policy

    def verify(self, question: Question) -> Verdict:
        """
        Ask; at the deadline hold, or roll back.

        Raises:
            Unavailable, BadInput: as the verifier says.
        """
        found = self._verifier.verify(question)
        if found.answer is Answer.NOT_ENOUGH and self._policy.at_deadline == "roll_back":
            message = (
                f"no verdict within {self._policy.deadline_s:g} s, and then the policy rolls back: {found.message}"
            )
            return Verdict(Answer.WORSE, message, found.checks, found.evidence)
        return found
