from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from ci.errors import BadInput
from ci.scaffold.listing import with_project
from tests.unit.scaffold.conftest import SHARED

if TYPE_CHECKING:
    from pathlib import Path


def test_one_line_more_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(SHARED)
    assert with_project("churn", path) == SHARED.replace("  - flights\n", "  - flights\n  - churn\n")


@pytest.mark.parametrize(
    "text",
    [
        "projects: [a, b]  # two\n\n# y\nz: 1\n",
        "projects:\n- a\n- b # last",
        "projects: []\nz: 1\n",
        "z: 1\nprojects:\n    -   a\n    -   b\n",
    ],
)
def test_every_way_to_write_a_list_is_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    before, after = (YAML(typ="safe").load(part) for part in (text, with_project("churn", path)))
    assert after.pop("projects") == [*(before.pop("projects")), "churn"]
    assert after == before
    assert all(f"# {word}" in with_project("churn", path) for word in ("two", "y", "last") if f"# {word}" in text)


def test_a_project_is_listed_once(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(SHARED)
    assert with_project("flights", path) == SHARED


@pytest.mark.parametrize("text", ["a: 1\n", "projects: 3\n", "projects: [a\n", ""])
def test_no_list_is_bad_input(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match="no list of projects"):
        with_project("churn", path)
