"""What people type about themselves and their reasons: any words, of bounded length, none that commands a reader."""

from __future__ import annotations

import pytest

from ci.adapters import people
from ci.errors import BadInput


@pytest.mark.parametrize(
    "text", ["", "with July", "ｓlow, 5 % > 3 % `x` $(y) <b>", "Łódź 👩‍🚀", "two\nlines\tand a tab", "x" * 2000]
)
def test_words_are_kept_as_they_are(text: str) -> None:
    assert people.by("ann", text, {}).reason == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * 2001, "--reason: 2,001 characters, at most 2,000"),
        ("red\x1b[31m", "character 4 is a control character (U+001B)"),
        ("a\rb", "U+000D"),
        ("a\x85", "U+0085"),
        ("\u202edoog", "U+202E"),
        ("not UTF-8: \udcff", "U+DCFF"),
    ],
)
def test_words_that_command_a_reader_or_never_end_are_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        people.by("ann", text, {})
    assert said in str(refused.value)
    assert text not in str(refused.value)


def test_a_name_is_short_wherever_it_comes_from() -> None:
    with pytest.raises(BadInput, match="--actor: 201 characters, at most 200"):
        people.by(None, "", {"BUILD_USER_ID": "x" * 201})
    with pytest.raises(BadInput, match="--approver"):
        people.name("--approver", "bob\x07")
    assert people.name("--approver", None) is None
