"""Projects as plug-ins: found by name, their code loaded or left to the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.errors import BadInput
from ci.project import Project, find, names
from tests import shop


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shop.shop(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_with_a_contract_is_a_project(root: Path) -> None:
    project = find("shop")
    assert project.contract.owner == "shop@example.org"
    assert project.as_of.isoformat() == "2024-05-01T00:00:00"
    assert project.path("data", "raw") == Path("data/shop/raw")


@pytest.mark.parametrize(("name", "hint"), [("shpo", "did you mean shop?"), ("zebra", "known projects: shop")])
def test_an_unknown_project_is_named_with_the_nearest(root: Path, name: str, hint: str) -> None:
    with pytest.raises(BadInput, match=f"^{name}: unknown project$") as caught:
        find(name)
    assert caught.value.hint == hint


def test_without_any_project_the_hint_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as caught:
        find("shop")
    assert caught.value.hint == "known projects: none"


def test_missing_code_is_named_empty_code_is_the_default(root: Path) -> None:
    project = Project("houses", Path("projects/houses"))
    with pytest.raises(BadInput, match=r"projects/houses/source\.py: no such file"):
        project.code("assemble")


@pytest.mark.parametrize(
    ("function", "file"),
    [("assemble", "source.py"), ("features", "features.py"), ("estimator", "model.py"), ("train", "model.py")],
)
def test_each_function_has_its_file(root: Path, function: str, file: str) -> None:
    assert find("shop").code_file(function) == Path("projects/shop") / file


def test_listed_projects_come_from_the_shared_params(root: Path) -> None:
    (root / "params.yaml").write_text("projects: [shop, houses]\n")
    assert names() == ["shop", "houses"]


@pytest.mark.parametrize("name", ["Shop", "../x", "a b", ""])
def test_a_listed_project_must_be_a_package_name(root: Path, name: str) -> None:
    (root / "params.yaml").write_text(f"projects: ['{name}']\n")
    with pytest.raises(BadInput, match=r"params\.yaml: projects\.0: string should match pattern"):
        names()
