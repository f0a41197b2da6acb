"""What lineage says of the params: a later date is newer data, anything else is another model."""

from __future__ import annotations

from ci.model.bundle import _digests
from tests.shop import params


def test_a_later_date_changes_params_but_not_settings() -> None:
    before, after = _digests(params()), _digests(params(as_of="2024-06-01"))
    assert before["params"] != after["params"]
    assert before["settings"] == after["settings"]


def test_what_makes_another_model_changes_both() -> None:
    before = _digests(params())
    for changes in ({"train": {"seed": 2}}, {"split": {"test_days": 20}}, {"source": {"period": "week"}}):
        after = _digests(params(**changes))
        assert not set(before.values()) & set(after.values())


def test_params_that_do_not_make_the_model_change_nothing() -> None:
    assert _digests(params(check={"min_rows": 60})) == _digests(params())
