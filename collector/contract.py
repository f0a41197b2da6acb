"""The contract files: what a project's rows are, as the pipeline writes it for this service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from serving.errors import BadOption

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["number", "integer", "boolean", "string", "datetime"]
RESERVED = frozenset({"request_id", "row", "known_at"})  # what an outcome says beside its columns


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a row."""

    type: Kind
    role: Literal["feature", "after", "meta", "target"] = "feature"
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] | None = None
    unknown: Literal["accept", "reject"] = "accept"
    max_length: int = 200
    sensitive: Literal["hash", "drop"] | None = None

    @property
    def later(self) -> bool:
        """Whether the value is known only afterwards: it may come as an outcome."""
        return self.role in {"after", "target"}

    @property
    def stored(self) -> Kind:
        """The type in which it leaves the service."""
        return "string" if self.sensitive == "hash" else self.type


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """`<project>.json`."""

    schema_version: Literal[1]
    project: str
    digest: str
    columns: dict[str, Column]
    target: str
    event_time: str | None = None
    keys: tuple[str, ...] = ()
    cluster: str | None = None
    label_horizon_days: float = 0
    lateness_days: float = 0
    period: Literal["day", "week", "month", "year"] = "month"

    @property
    def later(self) -> tuple[str, ...]:
        """The columns that may come as outcomes."""
        return tuple(name for name, column in self.columns.items() if column.later)

    @property
    def features(self) -> tuple[str, ...]:
        """The columns of a prediction's inputs."""
        return tuple(name for name, column in self.columns.items() if column.role == "feature")

    @property
    def ordered_keys(self) -> tuple[str, ...]:
        """The keys, the event time first: rows that happened together lie together."""
        return tuple(sorted(self.keys, key=lambda name: name != self.event_time))

    @property
    def hashes(self) -> bool:
        """Whether a key for hashing is needed."""
        return any(column.sensitive == "hash" for column in self.columns.values())


def load_all(folder: Path) -> dict[str, Contract]:
    """
    Read all contracts of a folder, by project.

    Raises:
        BadOption: naming file and fact.
    """
    try:
        files = sorted(folder.glob("*.json"))
        found = [load(file) for file in files]
    except OSError as error:
        raise BadOption(f"COLLECTOR_CONTRACTS: {folder}: {error.strerror or error}") from error
    if not found:
        raise BadOption(f"COLLECTOR_CONTRACTS: {folder}: no contract in it; python -m steps.contracts writes them")
    return {contract.project: contract for contract in found}


def load(file: Path) -> Contract:
    """
    Read one contract.

    Raises:
        BadOption: naming file and fact.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise BadOption(f"{file}: {error.strerror or error}") from error
    return parse(raw, file, file.stem)


def parse(raw: bytes, file: Path, project: str) -> Contract:
    """
    Read one contract from its bytes; it must be of this project.

    Raises:
        BadOption: naming file and fact.
    """
    try:
        contract = msgspec.json.decode(raw, type=Contract)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadOption(f"{file}: {error}") from error
    fault = _fault(contract, project)
    if fault:
        raise BadOption(f"{file}: {fault}")
    return contract


def _fault(contract: Contract, stem: str) -> str | None:
    if contract.project != stem or not stem.isidentifier() or not stem.isascii():
        return f"project: {contract.project!r} is not the file's name"
    named = [contract.target, *contract.keys, *([contract.event_time] if contract.event_time else [])]
    missing = [name for name in named if name not in contract.columns]
    if missing:
        return f"columns: {missing[0]} is named, but not there"
    if contract.event_time and contract.columns[contract.event_time].type != "datetime":
        return f"event_time: {contract.event_time} is not a datetime"
    taken = RESERVED & {*contract.keys, *contract.later}
    if taken:
        return f"columns: {min(taken)} is a word of outcomes, and cannot be a key, target or after column"
    for name, column in contract.columns.items():
        if column.sensitive and (column.role == "feature" or name == contract.event_time):
            return f"columns.{name}: sensitive, but needed as it is"
        if column.sensitive == "drop" and (name in contract.keys or not column.nullable):
            return f"columns.{name}: dropped, so that it can be no key and has to be nullable"
        if column.sensitive == "hash" and column.type != "string":
            return f"columns.{name}: only a string can be hashed"
    return None
