from __future__ import annotations

import pytest

from ci.errors import BadInput
from ci.releases.versions import Described, propose
from tests.shop import merged

SIGNATURE = {
    "project": "shop",
    "task": "binary",
    "inputs": [
        {"name": "age", "type": "integer", "nullable": False, "minimum": 0, "example": 3, "quantiles": [1.0, 2.0]},
        {"name": "town", "type": "string", "categories": ["York"], "unknown": "accept", "description": "Where"},
    ],
    "output": {"name": "probability", "type": "number", "classes": None, "description": "How likely"},
}
LINEAGE = {
    "data": {"version": "d" * 64, "as_of": "2024-05-01"},
    "params": "p" * 64,
    "settings": "s" * 64,
    "code": {"project": "a" * 64, "pipeline": "b" * 64},
    "packages": {"numpy": "2.0.0"},
}
OLD = Described("1" * 64, "2" * 64, SIGNATURE, LINEAGE)


def new(*, signature=None, lineage=None, bundle="9" * 64, recipe="2" * 64, age=None):
    changed = merged(SIGNATURE, signature or {})
    changed["inputs"] = [dict(item) for item in changed["inputs"]]
    changed["inputs"][0] |= age or {}
    return Described(bundle, recipe, changed, merged(LINEAGE, lineage or {}))


def test_first_release():
    assert propose(new(), None).version == "1.0.0"
    assert propose(new(), OLD, None).why == "the first release"


def test_nothing_changed_is_the_same_release():
    found = propose(new(bundle=OLD.bundle), OLD, "1.4.2")
    assert (found.version, found.same) == ("1.4.2", True)
    assert "same release" in found.why


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"age": {"type": "number"}}, "input age: type"),
        ({"age": {"minimum": 18, "nullable": True}}, "input age: minimum, nullable"),
        ({"age": {"name": "years"}}, "input years is new, input age is gone"),
        ({"signature": {"task": "regression"}}, "task is regression, was binary"),
        ({"signature": {"output": {"name": "score"}}}, "the output"),
        ({"signature": {"output": {"classes": ["a"]}}, "lineage": {"params": "q" * 64}}, "the output"),
    ],
)
def test_what_callers_notice_is_major(changes, words):
    found = propose(new(**changes), OLD, "1.4.2")
    assert (found.version, found.same) == ("2.0.0", False)
    assert found.why.startswith("major: ")
    assert words in found.why


@pytest.mark.parametrize(
    ("lineage", "words"),
    [
        ({"params": "q" * 64, "settings": "t" * 64}, "params"),
        ({"code": {"project": "c" * 64}}, "code of the project"),
        ({"packages": {"numpy": "2.1.0"}, "data": {"version": "e" * 64}}, "numpy 2.1.0"),
    ],
)
def test_another_model_is_minor(lineage, words):
    found = propose(new(lineage=lineage), OLD, "1.4.2")
    assert found.version == "1.5.0"
    assert words in found.why


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lineage": {"data": {"version": "e" * 64, "as_of": "2024-06-01"}, "params": "q" * 64}}, "only the data"),
        ({"bundle": "1" * 64, "recipe": "3" * 64}, "same bundle, packaged"),
        ({}, "only what describes it changed"),
        (
            {"age": {"example": 4, "quantiles": [2.0], "description": "x"}, "lineage": {"data": {"version": "e" * 64}}},
            "data",
        ),
    ],
)
def test_the_rest_is_a_patch(changes, words):
    found = propose(new(**changes), OLD, "1.4.2")
    assert found.version == "1.4.3"
    assert words in found.why


def test_an_old_bundle_without_settings_is_compared_by_params():
    found = propose(
        new(lineage={"params": "q" * 64}),
        Described(OLD.bundle, OLD.recipe, SIGNATURE, {k: v for k, v in LINEAGE.items() if k != "settings"}),
        "1.0.9",
    )
    assert found.version == "1.1.0"


@pytest.mark.parametrize("version", ["1.4", "v1.4.0", "1.4.x", "", "1.²0.0"])
def test_what_is_no_version(version):
    with pytest.raises(BadInput, match="not a version"):
        propose(new(), OLD, version)
