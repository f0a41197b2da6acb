"""
The contract: what a row is, and who may rely on it.

A team writes it once, in `projects/<name>/contract.yaml`; the data check holds deliveries to it, the signature of the
server is drawn from it, and the gate takes clusters and slices from it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_serializer, model_validator

from ci.params import Model, load

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SerializerFunctionWrapHandler

MAX_COLUMNS = 1000
_EXACT_FLOAT32 = 2**24
_HASHED = 37  # characters of a hashed value: `hmac:` and 32 digits

ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Type(StrEnum):
    """What a value is; docs/reference/bundle.md says how each travels."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"
    DATETIME = "datetime"


class Role(StrEnum):
    """What a column is for."""

    FEATURE = "feature"  # known when the prediction is asked for; part of the signature
    AFTER = "after"  # known only afterwards: never a feature
    META = "meta"  # carried along (keys, clusters, slices), never a feature
    TARGET = "target"


class Task(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    RANKING = "ranking"


class Column(Model):
    """One column of the final rows."""

    type: Type = Field(description="number, integer, boolean, string or datetime.")
    role: Role = Field(Role.FEATURE, description="feature, after, meta or target.")
    nullable: bool = Field(False, description="May a value be missing?")
    minimum: float | None = Field(None, description="Smallest value, inclusive.")
    maximum: float | None = Field(None, description="Largest value, inclusive.")
    categories: list[str] | None = Field(None, min_length=1, max_length=10_000, description="The values there are.")
    unknown: str = Field("accept", pattern="^(accept|reject)$", description="What a value outside categories means.")
    max_length: int = Field(200, ge=1, le=100_000, description="Longest text, in characters.")
    unique: bool = Field(False, description="No value may appear twice.")
    unit: str | None = Field(None, description="Unit of a number.")
    sensitive: Literal["hash", "drop"] | None = Field(
        None, description="The collection service hashes the values, or drops them, before it keeps anything."
    )
    description: str = Field("", description="For people who meet the column in the API or the data card.")

    @model_validator(mode="after")
    def _fits_its_type(self) -> Column:
        ordered = self.type in {Type.NUMBER, Type.INTEGER}
        if not ordered and (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"minimum and maximum need a number, not a {self.type}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is above maximum {self.maximum:g}")
        if self.categories is not None and self.type is not Type.STRING:
            raise ValueError(f"categories need a string, not a {self.type}")
        if self.categories is not None and len(set(self.categories)) < len(self.categories):
            raise ValueError("categories name a value twice")
        if self.role is Role.FEATURE and self.type is Type.DATETIME and self.nullable:
            raise ValueError("a datetime feature cannot be nullable: the graph's integers have no missing value")
        if self.role is Role.FEATURE and self.type is Type.INTEGER:
            bounds = [abs(bound) for bound in (self.minimum, self.maximum) if bound is not None]
            if bounds and max(bounds) > _EXACT_FLOAT32:
                raise ValueError("an integer feature must stay within ±16777216 (2^24): the graph computes in float32")
        return self

    @model_validator(mode="after")
    def _can_be_hidden(self) -> Column:
        if self.sensitive and self.role in {Role.FEATURE, Role.TARGET}:
            raise ValueError(f"sensitive: a {self.role} is needed as it is; callers and the model see the same values")
        if self.sensitive == "drop" and not self.nullable:
            raise ValueError("sensitive: what is dropped is missing afterwards: set nullable: true")
        if self.sensitive == "hash" and (self.type is not Type.STRING or self.categories or self.max_length < _HASHED):
            raise ValueError(
                f"sensitive: only a string without categories and with max_length from {_HASHED} on can be hashed"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, plainly: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what most columns do not say and former versions did not know: the digests stay."""
        found: dict[str, Any] = plainly(self)
        if found.get("sensitive") is None:
            found.pop("sensitive", None)
        return found


class Accepted(Model):
    """A change of the delivery that the owner has seen and agreed to; `check_data` proposes these."""

    period: str = Field(description="The period in which the change arrived, such as 2023-01.")
    change: str = Field(description="The change, in the words of the report.")
    because: str = Field(min_length=3, description="Why it is fine.")


class Contract(Model):
    """`projects/<name>/contract.yaml`."""

    description: str = Field(description="The question that the model answers, as a sentence.")
    owner: str = Field(description="Who is told when data breaks the contract.")
    task: Task = Field(description="binary, multiclass, regression or ranking.")
    target: ColumnName = Field(description="The column to predict.")
    positive: str | None = Field(None, description="For a binary target of strings: the value that counts as true.")
    event_time: ColumnName | None = Field(None, description="When the row happened (datetime).")
    keys: list[ColumnName] = Field(default_factory=list, description="Columns that together name one row.")
    cluster: str | None = Field(None, description="Column whose rows are not independent, or `day` of the event time.")
    group: ColumnName | None = Field(None, description="Column whose rows must stay on one side of the split.")
    label_horizon_days: float = Field(0, ge=0, le=3650, description="Days until the target is known.")
    slices: list[ColumnName] = Field(default_factory=list, description="Columns by which results are broken down.")
    columns: dict[ColumnName, Column] = Field(min_length=2, max_length=MAX_COLUMNS, description="The columns.")
    accepted: list[Accepted] = Field(default_factory=list, description="Changes that were agreed to.")

    @model_validator(mode="after")
    def _hangs_together(self) -> Contract:
        named = {"target": [self.target], "keys": self.keys, "slices": self.slices}
        named |= {"event_time": [self.event_time] if self.event_time else []}
        named |= {"group": [self.group] if self.group else []}
        named |= {"cluster": [self.cluster] if self.cluster and self.cluster != "day" else []}
        for field, names in named.items():
            for name in names:
                if name not in self.columns:
                    raise ValueError(f"{field} names {name}, which is not among columns")
        self._target_fits()
        if self.event_time and self.columns[self.event_time].type is not Type.DATETIME:
            raise ValueError(f"event_time: {self.event_time} is a {self.columns[self.event_time].type}, not a datetime")
        if self.cluster == "day" and not self.event_time:
            raise ValueError("cluster: day needs an event_time")
        if not self.features:
            raise ValueError("columns: none has the role feature")
        self._hidden_fits()
        return self

    def _hidden_fits(self) -> None:
        for name, column in self.columns.items():
            if column.sensitive and name == self.event_time:
                raise ValueError(f"columns.{name}: sensitive, but it is the event time")
            if column.sensitive == "drop" and name in {*self.keys, *self.slices, self.group, self.cluster}:
                raise ValueError(f"columns.{name}: dropped, but a key, slice, group or cluster")

    def _target_fits(self) -> None:
        target = self.columns[self.target]
        if [name for name, column in self.columns.items() if column.role is Role.TARGET] != [self.target]:
            raise ValueError(f"target: {self.target} must be the one column with role target")
        allowed = {
            Task.BINARY: {Type.BOOLEAN, Type.STRING, Type.INTEGER},
            Task.MULTICLASS: {Type.STRING, Type.INTEGER},
            Task.REGRESSION: {Type.NUMBER, Type.INTEGER},
            Task.RANKING: {Type.BOOLEAN, Type.INTEGER},
        }[self.task]
        if target.type not in allowed:
            raise ValueError(f"target: a {self.task} task cannot predict a {target.type}")
        if self.task is Task.BINARY and target.type is Type.STRING and self.positive is None:
            raise ValueError("positive: missing; a binary target of strings needs the value that counts as true")
        if self.positive is not None and (self.task is not Task.BINARY or target.type is not Type.STRING):
            raise ValueError("positive: only a binary target of strings has one; of others, 1 or true counts as true")

    @property
    def features(self) -> dict[str, Column]:
        """Return the columns of the signature, in the order of the contract."""
        return {name: column for name, column in self.columns.items() if column.role is Role.FEATURE}

    @property
    def texts(self) -> list[str]:
        """Return the columns of strings, whatever their role: what a CSV must not read as numbers."""
        return [name for name, column in self.columns.items() if column.type is Type.STRING]

    def of_type(self, *types: Type) -> list[str]:
        """Return the features of the given types, in order."""
        return [name for name, column in self.features.items() if column.type in types]

    def agreed(self, period: str, change: str) -> bool:
        """Say whether the owner has accepted this change in this period."""
        return any(item.period == period and item.change == change for item in self.accepted)


def load_contract(path: Path) -> Contract:
    """
    Read a contract.

    Raises:
        BadInput: with file, key and fact.
    """
    return load(Contract, path)


def plain(contract: Contract) -> dict[str, Any]:
    """Spell the part of the contract that decides what rows are: what a data version depends on."""
    return contract.model_dump(mode="json", include={"columns", "event_time", "keys", "target"})
