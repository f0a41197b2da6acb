from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ci.scaffold.render import as_yaml, remark

ANY = st.text(st.characters(codec="utf-8"), max_size=30)
PLAIN = ANY | st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3), max_leaves=6
)


@given(VALUES)
def test_yaml_gives_back_whatever_was_spelt(value: object) -> None:
    assert YAML(typ="safe").load(f"key: {as_yaml(value)}  # comment\n") == {"key": value}


@pytest.mark.parametrize(
    "word", ["yes", "No", "on", "null", "true", "1", "1.5", "2024-01-01", "~", "a: b", "- a", "#", " x", "", "0x1"]
)
def test_texts_that_look_like_something_else_stay_texts(word: str) -> None:
    assert YAML(typ="safe").load(f"- {as_yaml(word)}") == [word]


@given(st.text(max_size=400))
def test_a_remark_stays_in_its_comment(text: str) -> None:
    made = remark(text)
    assert len(made) <= 140
    assert YAML(typ="safe").load(f"a: 1  # {made}\nb: 2\n") == {"a": 1, "b": 2}
