"""
Params: YAML in, frozen values out; a mistake becomes one line that names the key.

The models say what may be set, in which range and unit. Nothing else in the house parses a params file.
"""

from __future__ import annotations

import difflib
import os
import re
import types
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from ci.errors import BadInput
from ci.files import said_plainly

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # to look for some among all packages takes 35 ms, in each step

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
ProjectName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]  # a Python package, too
COLLECTOR = "collector"  # the collection service
SERVICES = frozenset({COLLECTOR})  # what Slipway itself runs beside models: no project of a user may have such a name
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]  # as registries spell it


class Model(BaseModel):
    """Frozen, strict about unknown keys; the base of all that is read from YAML or JSON. Built when it is first used."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)


M = TypeVar("M", bound=Model)


class Split(Model):
    """How `prepare` cuts rows into train and test."""

    strategy: str = Field("time", pattern="^(time|group|random)$", description="time, group or random.")
    test_days: int = Field(30, ge=1, le=3650, description="Newest days with known labels, held out (time).")
    gap_days: int = Field(0, ge=0, le=3650, description="Days left out between train and test (time).")
    train_days: int | None = Field(
        None, ge=1, le=36_500, description="Longest history to learn from (time); all if null."
    )
    test_share: float = Field(0.2, gt=0, lt=1, description="Share of rows held out (group, random).")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of the draw (group, random).")
    trusted: list[str] = Field(default_factory=list, description="Features that look like leaks, and are none.")


class Drift(Model):
    """When a feature is said to have drifted, and when that rejects (STATISTICS: three conditions, all of them)."""

    psi: float = Field(0.1, gt=0, description="Population stability index above which a feature may have drifted.")
    mad: float = Field(3.0, gt=0, description="How many robust deviations above its own past.")
    reference_periods: int = Field(3, ge=1, le=120, description="Trailing periods to compare with.")
    target_psi: float = Field(0.25, gt=0, description="Drift of the target above which the data is rejected.")
    critical: list[str] = Field(default_factory=list, description="Features whose drift rejects.")
    rejected_share: float = Field(
        0.3, gt=0, le=1, description="Share of drifted features above which the data is rejected."
    )


class Check(Model):
    """What `check_data` tolerates beyond the contract itself."""

    max_age_days: float | None = Field(None, gt=0, description="Oldest acceptable newest row, in days before as_of.")
    min_rows: int = Field(100, ge=1, description="Fewest rows in a closed period.")
    rows_factor: float = Field(3.0, gt=1, description="A period may differ from the median of its past by this factor.")
    max_violations: float = Field(0.0, ge=0, lt=1, description="Share of rows that may break a column's contract.")
    drift: Drift = Drift()


class Train(Model):
    """What the estimator is given; `estimator` is free: the project's own code reads it."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of everything random in training.")
    estimator: dict[str, Any] = Field(default_factory=dict, description="Passed to the project's `estimator`.")
    parity_rows: int = Field(2000, ge=10, le=100_000, description="Rows on which ONNX must agree with the estimator.")
    parity_tolerance: float = Field(1e-5, gt=0, lt=0.1, description="Largest relative difference between the two.")


class Evaluate(Model):
    """How the test set is scored."""

    level: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    threshold: float = Field(0.5, gt=0, lt=1, description="Score from which on the answer counts as positive.")
    metrics: list[str] = Field(default_factory=list, description="Metrics to report; the task's own if empty.")
    max_slices: int = Field(50, ge=1, le=1000, description="Largest values per slice column; the rest count as other.")
    min_slice_rows: int = Field(30, ge=2, description="Smaller slices are counted, not judged.")
    single_feature_share: float = Field(0.9, gt=0, le=1, description="A feature that alone reaches this share leaks.")
    trusted: list[str] = Field(default_factory=list, description="Features that are strong alone, and rightly so.")


def load(model: type[M], path: Path, *, section: str | None = None) -> M:
    """
    Read one YAML file into a model.

    Raises:
        BadInput: the file is missing, not YAML, or breaks the model; the message names file, key and fact.
    """
    document = read_yaml(path)
    if section is not None:
        document = document.get(section, {})
    return parse(model, document, str(path) if section is None else f"{path}: {section}")


def read_yaml(path: Path) -> dict[str, Any]:
    """
    Read a YAML mapping.

    Raises:
        BadInput: missing, unreadable, not YAML, or not a mapping.
    """
    from ci.yaml import mapping

    with said_plainly(path):
        raw = path.read_bytes()
    return mapping(raw, str(path))


def parse(model: type[M], document: Any, where: str) -> M:
    """
    Turn a document into a model.

    Raises:
        BadInput: with the first problem as one line.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise BadInput(f"{where}: {_sentence(model, error.errors()[0], document)}") from error


def quoted_date(value: Any) -> Any:
    """
    Accept a date as text only.

    Raises:
        ValueError: it was written without quotes, which YAML reads as a date that DVC cannot store.
    """
    if isinstance(value, date):
        raise ValueError(f'write it in quotes, as "{value.isoformat()[:10]}": DVC cannot store a bare date')  # noqa: TRY004
    return value


Day = Annotated[date, BeforeValidator(quoted_date)]


def _sentence(model: type[BaseModel], problem: Any, document: Any) -> str:
    where = ".".join(_path(problem["loc"], document)) or "the file"
    if problem["type"] == "extra_forbidden":
        known = difflib.get_close_matches(str(problem["loc"][-1]), list(_keys_at(model, problem["loc"][:-1])), n=1)
        return f"{where}: unknown key" + (f" (did you mean {known[0]}?)" if known else "")
    if problem["type"] == "missing":
        return f"{where}: missing"
    message = re.sub(r"^(Value error|Assertion failed), ", "", problem["msg"])
    found = problem.get("input")
    shown = "" if isinstance(found, dict | list) or problem["type"] == "value_error" else f", found {_masked(found)}"
    return f"{where}: {message[0].lower()}{message[1:]}{shown}"


def _path(location: tuple[Any, ...], document: Any) -> Iterator[str]:
    """Yield the keys that a person wrote: of a choice by `kind`, pydantic names the kind as if it were a key."""
    node, tagged = document, None
    for part in location:
        if isinstance(node, dict) and node.get("kind") == part and tagged is not node:
            tagged = node
            continue
        yield str(part)
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            node = None


def _masked(value: Any) -> str:
    """Show a value, but no password that a URL may carry."""
    return re.sub(r"://[^/@\s]+@", "://…@", f"{value!r}")[:80]


def _keys_at(model: type[BaseModel], location: tuple[Any, ...]) -> Iterator[str]:
    """Yield the keys that are known at `location` of a model: what a misspelt one may have meant."""
    models = {model}
    for part in location:
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        models = {inner for field in fields for inner in _models_in(field)} or models
    for found in models:
        yield from found.model_fields


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not get_origin(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, types.UnionType, Annotated, list, dict, tuple}:
        for inner in get_args(annotation):
            yield from _models_in(inner)
