"""Outcomes, exit codes, errors."""

from __future__ import annotations

import pytest

from ci.errors import BadInput, Interrupted, Outcome, StepError, Unavailable


def test_exit_codes_are_those_that_jenkins_maps() -> None:
    assert {outcome.value: outcome.exit_code for outcome in Outcome} == {
        "passed": 0,
        "crashed": 1,
        "bad input": 2,
        "rejected": 3,
        "inconclusive": 4,
        "unavailable": 5,
        "rolled back": 6,
        "not restored": 7,
    }


@pytest.mark.parametrize("code", range(8))
def test_an_outcome_is_found_again_by_its_code(code: int) -> None:
    assert Outcome.of_exit_code(code).exit_code == code


@pytest.mark.parametrize("code", [-15, 8, 130, 255])
def test_any_other_code_is_a_crash(code: int) -> None:
    assert Outcome.of_exit_code(code) is Outcome.CRASHED


def test_a_message_is_one_line_whatever_it_was_made_of() -> None:
    assert str(BadInput("a.csv:\n  line 3\tis  odd\n")) == "a.csv: line 3 is odd"


def test_errors_carry_outcome_and_hint() -> None:
    assert BadInput("x").outcome is Outcome.BAD_INPUT
    assert Unavailable("x", hint="wait").outcome is Outcome.UNAVAILABLE
    assert Unavailable("x", hint="wait").hint == "wait"


def test_no_except_clause_mistakes_an_interruption_for_a_failure() -> None:
    assert not issubclass(Interrupted, Exception)
    assert not issubclass(Interrupted, StepError)
    assert (Interrupted(15).exit_code, Interrupted(2).exit_code) == (143, 130)
