"""
Which version data should have: what breaks a reader is major, what is new is minor, what was corrected alone a patch.

Compared are two data versions by their contracts and by the digests of their periods.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ci.contract import plain
from ci.files import sha256_of
from ci.params import Model, Sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.contract import Contract
    from ci.data.manifest import Manifest

FIRST = "1.0.0"


class PeriodRows(Model):
    """One period, as far as a reader cares."""

    period: str
    rows: int
    sha256: Sha256
    closed: bool
    newest: str | None


class Described(Model):
    """What decides about a version; kept as datasets/<project>/version.json beside the record."""

    contract: dict[str, Any] = Field(description="The part of the contract that decides what rows are.")
    periods: list[PeriodRows]

    @property
    def content(self) -> str:
        """Digest of contract and rows; a period that has begun and holds none adds nothing."""
        return sha256_of([self.contract, [[item.period, item.sha256] for item in self.periods if item.rows]])

    @property
    def watermark(self) -> str:
        """Newest event time; empty for rows without one."""
        return max((item.newest for item in self.periods if item.newest), default="")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A version, and what led to it: names of the periods that arrived, were restated or are gone."""

    version: str
    why: str
    arrived: Sequence[str] = ()
    restated: Sequence[str] = ()
    gone: Sequence[str] = ()
    broken: Sequence[str] = field(default=())


def described(contract: Contract, manifest: Manifest) -> Described:
    """Describe a data version."""
    periods = [
        PeriodRows(period=part.period, rows=part.rows, sha256=part.sha256, closed=part.closed, newest=part.newest)
        for part in manifest.parts
    ]
    return Described(contract=plain(contract), periods=periods)


def propose(new: Described, former: Described | None, version: str | None) -> Proposal:
    """Propose the version of data that follow `former`, which is `version`."""
    if former is None or version is None:
        return Proposal(FIRST, "the first version", [item.period for item in new.periods])
    major, minor, patch = (int(part) for part in version.split("."))
    before = {item.period: item for item in former.periods}
    changed = [item for item in new.periods if item.period in before and before[item.period].sha256 != item.sha256]
    arrived = [item.period for item in new.periods if item.period not in before or _grew(item, before[item.period])]
    restated = [item.period for item in changed if item.period not in arrived]
    gone = [item.period for item in former.periods if item.period not in {part.period for part in new.periods}]
    broken = breaks(former.contract, new.contract)
    told = {"arrived": arrived, "restated": restated, "gone": gone, "broken": broken}
    if broken or gone:
        return Proposal(
            f"{major + 1}.0.0", f"major: {listed([*broken, *(f'{name} is gone' for name in gone)])}", **told
        )
    if former.contract != new.contract:
        return Proposal(f"{major}.{minor + 1}.0", f"minor: the contract says more: {listed(more(former.contract, new.contract))}", **told)  # fmt: skip
    if arrived:
        return Proposal(f"{major}.{minor + 1}.0", f"minor: {listed(arrived)} arrived", **told)
    return Proposal(f"{major}.{minor}.{patch + 1}", f"patch: {listed(restated) or 'nothing but the schedule'} restated", **told)  # fmt: skip


def _grew(now: PeriodRows, before: PeriodRows) -> bool:
    """Say whether a period that was open has newer rows now; other changes of it are restatements."""
    return not before.closed and now.sha256 != before.sha256 and (now.newest or "") > (before.newest or "")


def breaks(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name what a reader of the old contract would stumble over."""
    found = [f"{name} is {_told(new.get(name))}, was {_told(old.get(name))}" for name in ("target", "event_time", "keys")
             if old.get(name) != new.get(name)]  # fmt: skip
    before, after = old["columns"], new["columns"]
    for name, column in before.items():
        if name not in after:
            found.append(f"{name} is gone")
            continue
        found += [f"{name} is {after[name][key]}, was {column[key]}" for key in ("type", "role")
                  if after[name].get(key) != column.get(key)]  # fmt: skip
        if after[name].get("nullable") and not column.get("nullable"):
            found.append(f"{name} may be missing now")
    return found


def more(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name what changed in a contract without breaking a reader."""
    before, after = old["columns"], new["columns"]
    found = [f"{name} is new" for name in after if name not in before]
    for name in before:
        if name in after and after[name] != before[name]:
            keys = sorted(key for key in {*before[name], *after[name]} if before[name].get(key) != after[name].get(key))
            found.append(f"{name}: {', '.join(keys)}")
    return found


def listed(items: Sequence[str], most: int = 4) -> str:
    """Name a few, and say how many more there are."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def _told(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
