from __future__ import annotations

import math
import struct

from hypothesis import given
from hypothesis import strategies as st

from collector import keys

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)
INT = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


def spell(kinds):
    return keys.speller(kinds)


@given(st.tuples(INT, TEXT, NUMBER, st.booleans()), st.tuples(INT, TEXT, NUMBER, st.booleans()))
def test_the_order_of_keys_is_the_order_of_values(one, other):
    key = spell(["integer", "string", "number", "boolean"])
    if one == other:
        assert key(one) == key(other)
    else:
        assert (key(one) < key(other)) == (one < other)


@given(st.tuples(TEXT, TEXT), st.tuples(TEXT, TEXT))
def test_texts_do_not_run_together(one, other):
    key = spell(["string", "string"])
    assert (key(one) == key(other)) == (one == other)


def test_null_comes_first():
    key = spell(["integer"])
    assert key([None]) < key([-(2**63)])


def test_zero_has_one_key():
    assert keys.number(-0.0) == keys.number(0.0)
    assert (
        keys.number(-math.inf)
        < keys.number(-1e300)
        < keys.number(-1)
        < keys.number(struct.unpack(">d", b"\0" * 7 + b"\1")[0])
    )


def test_long_keys_are_cut_but_stay_apart():
    key = spell(["string"])
    one, other = key(["x" * 5000 + "a"]), key(["x" * 5000 + "b"])
    assert len(one) == len(other) == 200
    assert one != other
