"""How a step ends: the outcomes, their exit codes, and the errors that lead to them."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What a step has to say; Jenkins maps the exit code, people read the word."""

    PASSED = "passed"
    CRASHED = "crashed"
    BAD_INPUT = "bad input"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"
    UNAVAILABLE = "unavailable"
    ROLLED_BACK = "rolled back"
    NOT_RESTORED = "not restored"

    @property
    def exit_code(self) -> int:
        """0 to 7, as docs/reference/exit-codes.md has them."""
        return list(Outcome).index(self)

    @classmethod
    def of_exit_code(cls, code: int) -> Outcome:
        """Return the outcome behind a process's exit code; anything unknown is a crash."""
        outcomes = list(cls)
        return outcomes[code] if 0 <= code < len(outcomes) else cls.CRASHED


class StepError(Exception):
    """An end that a person can act on: one line that names the thing, then the fact; and a hint."""

    outcome = Outcome.CRASHED

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the message to one line: it is shown as `step: outcome: message`."""
        super().__init__(" ".join(message.split()))
        self.hint = hint


class BadInput(StepError):  # noqa: N818  # reads as the outcome that it is
    """An option, a file or a parameter is wrong or unreadable: a retry is useless."""

    outcome = Outcome.BAD_INPUT


class Unavailable(StepError):  # noqa: N818
    """Something outside did not answer (registry, remote, network, lock): a retry may help."""

    outcome = Outcome.UNAVAILABLE


class Interrupted(BaseException):
    """
    A person or the scheduler stopped the step; nothing half-written was left behind.

    No Exception, so that nothing on its way takes it for a failure of its own and turns it into another end.
    """

    def __init__(self, signal_number: int) -> None:
        """Remember the signal, because the shell's convention is to exit with 128 plus its number."""
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number
