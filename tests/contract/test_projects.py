"""What a project must offer, held against each that ships."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from ci.contract import Role, Type
from ci.model import encoding, graph
from ci.project import Project

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted(path.parent.name for path in ROOT.glob("projects/*/contract.yaml"))


@pytest.fixture(params=PROJECTS)
def project(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(ROOT)
    return Project(request.param, ROOT / "projects" / request.param)


def test_dvc_builds_every_project() -> None:
    assert sorted(yaml.safe_load((ROOT / "params.yaml").read_text())["projects"]) == PROJECTS


def test_contract_and_params_are_readable(project: Project) -> None:
    assert project.contract.owner
    assert project.contract.description.endswith("?")
    assert project.params.source.eras


def test_code_lies_where_dvc_expects_it(project: Project) -> None:
    for function in ("assemble", "features", "estimator", "train"):
        project.code(function)


def test_every_number_has_bounds(project: Project) -> None:
    numbers = {name: project.contract.features[name] for name in project.contract.of_type(Type.NUMBER, Type.INTEGER)}
    assert [name for name, column in numbers.items() if column.minimum is None or column.maximum is None] == []


def test_what_decides_the_split_is_no_target(project: Project) -> None:
    special = {project.contract.event_time, project.contract.group} - {None}
    assert not [name for name in special if project.contract.columns[str(name)].role in {Role.TARGET, Role.AFTER}]


def test_critical_and_trusted_columns_are_columns(project: Project) -> None:
    params, known = project.params, project.contract.columns
    named = [*params.check.drift.critical, *params.split.trusted, *params.evaluate.trusted]
    assert [name for name in named if name not in known] == []


def test_features_become_a_graph_over_raw_columns(project: Project) -> None:
    traced = graph.trace(project)
    kinds: Mapping[str, str] = traced.kinds
    assert set(kinds.values()) <= {"number", "text"}
    assert {item.name for item in traced.model.graph.input} <= set(encoding.columns(project.contract))


def test_the_estimator_is_unfitted_and_takes_its_params(project: Project) -> None:
    make = project.code("estimator")
    if make is None:
        return
    estimator = make(dict(project.params.train.estimator), dict(graph.trace(project).kinds))
    assert callable(estimator.fit)
    assert callable(estimator.predict)
