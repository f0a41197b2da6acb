"""The rows on which both models are judged, and how each model answers them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ci.contract import Task
from ci.data import layout, rows
from ci.data.manifest import read_parquet
from ci.errors import BadInput
from ci.files import read_json, sha256
from ci.model.bundles import CannotScore
from ci.model.evaluate import cluster_codes

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from ci.contract import Contract
    from ci.model.bundles import Bundle
    from ci.params_gate import Policy


@dataclass(frozen=True)
class HeldOut:
    """A Parquet file of rows with known targets."""

    file: Path
    contract: Contract

    @cached_property
    def frame(self) -> pd.DataFrame:
        """
        All rows.

        Raises:
            BadInput: unreadable, empty, or without targets.
        """
        frame, target = read_parquet(self.file), self.contract.target
        if target not in frame:
            raise BadInput(f"{self.file}: no column {target}, which is the target")
        if frame.empty or frame[target].isna().any():
            raise BadInput(f"{self.file}: {'empty' if frame.empty else 'rows without a target'}")
        return frame

    @cached_property
    def y(self) -> rows.Array:
        """Targets (n_rows,) as ci.stats takes them."""
        return rows.labels(self.frame[self.contract.target], self.contract)

    @cached_property
    def clusters(self) -> rows.Array | None:
        """Codes (n_rows,) of what makes rows alike, None where the contract names nothing."""
        return cluster_codes(self.frame, self.contract)

    @cached_property
    def digest(self) -> str:
        """Key of the comparisons ledger: sha256 of the file."""
        return sha256(self.file)

    @cached_property
    def split(self) -> dict[str, Any]:
        """How train and test set were cut, as the prepare stage wrote it."""
        found: dict[str, Any] = read_json(self.file.with_name(layout.SPLIT))
        return found

    @property
    def window(self) -> tuple[str, str] | None:
        """First and last moment, where the split is by time."""
        cut = self.split.get("cut", {})
        return (cut["test_start"], cut["test_end"]) if {"test_start", "test_end"} <= set(cut) else None

    def given(self, policy: Policy) -> dict[str, Any]:
        """
        Return task, clusters, weights and slices as `judge` takes them.

        Raises:
            BadInput: a column that the policy names is not there.
        """
        columns = self.contract.slices if policy.slices.columns is None else policy.slices.columns
        return {
            "task": self.contract.task,
            "clusters": self.clusters,
            "weights": None if policy.weight is None else self._column(policy.weight, "gate.weight"),
            "slices": {name: self._column(name, "slices") for name in columns},
            "policy": policy,
        }

    def answers(self, bundle: Bundle) -> rows.Array:
        """
        Return a bundle's answers (n_rows,), or (n_rows, n_classes) in the order of today's classes.

        Raises:
            CannotScore: the rows are not what its signature asks for, or it knows other classes.
        """
        found = bundle.score(self.frame)
        if found.ndim == 1:
            return found
        wanted, known = self._classes, self.classes(bundle) or []
        if set(known) != set(wanted) or found.shape[1] != len(known):
            names = ", ".join(sorted(set(known) ^ set(wanted))) or f"{found.shape[1]} instead of {len(wanted)}"
            raise CannotScore(f"it knows other classes than there are today: {names}")
        return found[:, [known.index(name) for name in wanted]]

    def classes(self, bundle: Bundle) -> list[str] | None:
        """Name the columns of a bundle's own answers; None where it has a single answer."""
        if bundle.task is not Task.MULTICLASS:
            return None
        return bundle.signature["output"].get("classes") or self._classes

    @cached_property
    def _classes(self) -> list[str]:
        """Today's classes."""
        return rows.classes(self.frame[self.contract.target], self.contract)

    def _column(self, name: str, where: str) -> rows.Array:
        if name not in self.frame:
            raise BadInput(f"{where}: {self.file} has no column {name}", hint=", ".join(self.frame.columns))
        return self.frame[name].to_numpy()
