"""
The policy: what a project demands of a challenger, as `gate` in its params.

Everything has a default that follows from the task (ci/gate/rules.py), so that an empty policy already protects. What
can be refused without seeing data is refused here; what needs the task or the metrics, in `ci.gate.rules`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ci.params import Model

_SHARE = "share of rows, above 0 and at most 1"
_OF = "Class whose probability is meant; for several classes, and needed there."


def _as_class(value: Any) -> Any:
    """YAML reads a class that is called 3 as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Class = Annotated[str, BeforeValidator(_as_class)]


class MetricRule(Model):
    """What is asked of one metric; whatever is left out follows from the metric."""

    margin: float | None = Field(None, gt=0, description="Largest loss that counts as none, in the metric's unit.")
    relative_margin: float | None = Field(None, gt=0, lt=1, description="The same as a share of the champion's value.")
    floor: float | None = Field(None, description="Worst acceptable value: the least, or for an error the largest.")
    compare: bool = Field(True, description="May the challenger not be worse than the champion in it?")

    @model_validator(mode="after")
    def _asks_something(self) -> MetricRule:
        if self.margin is not None and self.relative_margin is not None:
            raise ValueError("has both margin and relative_margin; which of the two is meant?")
        if not self.compare and self.floor is None:
            raise ValueError("can never fail: it is neither compared nor has it a floor")
        return self


class Slices(Model):
    """Where a regression would hide."""

    columns: list[str] | None = Field(None, description="Columns to break down by; the contract's slices if null.")
    metric: str | None = Field(None, description="Metric of the slices; the primary one if null.")
    margin: float | None = Field(
        None, gt=0, description="Largest loss in a slice that counts as none; 2 margins if null."
    )
    min_rows: int = Field(200, ge=30, description="Smaller slices are counted, not judged.")
    min_events: int = Field(20, ge=5, description="Fewest rows of the rarer class in a judged slice.")
    max_values: int = Field(50, ge=1, le=1000, description="Largest values per column; the rest are judged together.")


class Invariance(Model):
    """Changing `column` must not change the answer: shuffled among the rows, or set to each of `to`."""

    column: str
    to: list[Any] | None = Field(None, min_length=1, description="Values to set; shuffled among rows if null.")
    tolerance: float = Field(0.01, gt=0, description="Largest change of an answer that counts as none.")
    share: float = Field(0.99, gt=0, le=1, description=f"Answers that must hold still: {_SHARE}.")
    rows: int = Field(500, ge=20, le=100_000, description="Test rows to try.")


class Monotonicity(Model):
    """Raising `column` by `step` must move the answer `up` or `down`, or leave it."""

    column: str
    of: Class | None = Field(None, description=_OF)
    direction: Literal["up", "down"]
    step: float = Field(gt=0, description="By how much the column is raised, in its unit.")
    tolerance: float = Field(0.0, ge=0, description="Movement in the wrong direction that counts as none.")
    share: float = Field(0.95, gt=0, le=1, description=f"Answers that must move rightly: {_SHARE}.")
    rows: int = Field(500, ge=20, le=100_000, description="Test rows to try.")


class GoldenRow(Model):
    """A case whose answer everybody knows; columns that are left out take the signature's example."""

    row: dict[str, Any] = Field(min_length=1, description="Columns and values, as a caller would send them.")
    of: Class | None = Field(
        None, description="Class whose probability at_least and at_most mean; for several classes."
    )
    at_least: float | None = Field(None, description="Smallest right answer.")
    at_most: float | None = Field(None, description="Largest right answer.")
    first_choice: Class | None = Field(None, description="Class that must be the likeliest; for several classes.")
    because: str = Field(min_length=3, description="Why everybody knows.")

    @property
    def limited(self) -> bool:
        """Whether a number is held against limits."""
        return self.at_least is not None or self.at_most is not None

    @model_validator(mode="after")
    def _can_fail_and_pass(self) -> GoldenRow:
        if not self.limited and self.first_choice is None:
            raise ValueError("can never fail: give at_least or at_most, or a first_choice among several classes")
        if self.of is not None and not self.limited:
            raise ValueError(f"of: {self.of} is given no limit: give at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"can never pass: at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self


class Behaviour(Model):
    """What the model must do whatever its metrics say (Ribeiro 2020, CheckList)."""

    invariances: list[Invariance] = Field(default_factory=list)
    monotonicities: list[Monotonicity] = Field(default_factory=list)
    golden: list[GoldenRow] = Field(default_factory=list)


class Calibration(Model):
    """Whether probabilities can be taken at their word."""

    max_ece: float | None = Field(
        None, gt=0, lt=1, description="Largest expected calibration error; only told if null."
    )
    bins: int = Field(15, ge=2, le=100, description="Bins of equal mass.")


class Leakage(Model):
    """What the model cannot know when it is asked."""

    banned: list[str] = Field(default_factory=list, description="Columns that must not be in the signature.")
    max_duplicates: float = Field(0.2, gt=0, lt=1, description="Share of test rows whose features were trained on.")
    single_feature: float = Field(0.95, gt=0.5, lt=1, description="Score that no feature may reach alone.")


class Cost(Model):
    """What an answer may cost."""

    p99_ms: float = Field(50.0, gt=0, description="99th percentile of answering one row on one thread, milliseconds.")
    size_mb: float = Field(200.0, gt=0, description="Size of the bundle, megabytes.")
    parity: float = Field(
        1e-5, gt=0, lt=0.1, description="Largest relative difference from the answers it was sealed with."
    )


class Policy(Model):
    """`gate` in `projects/<name>/params.yaml`."""

    promote: Literal["superior", "non_inferior"] = Field(
        "superior", description="Must the challenger be better, or is it enough not to be worse?"
    )
    reason: str | None = Field(None, min_length=3, description="Why not being worse is enough; needed by non_inferior.")
    primary: str | None = Field(None, description="Metric that decides; the task's own if null.")
    min_gain: float = Field(0.0, ge=0, description="Gain that superior asks for, in the primary metric's unit.")
    metrics: dict[str, MetricRule] = Field(default_factory=dict, description="Beside or instead of the task's own.")
    alpha: float = Field(0.05, gt=0, le=0.2, description="Chance of a false promotion over the life of a test set.")
    power: float = Field(
        0.8, ge=0.5, lt=1, description="Chance of seeing an effect that the test set must be able to see."
    )
    anchor_margins: float | None = Field(
        1.0,
        ge=1,
        le=10,
        description="Margins that a chain of releases may lose since the anchor, the release that no later one was "
        "shown to beat; held to no anchor if null.",
    )
    min_clusters: int = Field(10, ge=3, description="With fewer clusters nothing is concluded.")
    min_rows: int = Field(100, ge=30, description="With fewer test rows nothing is concluded.")
    threshold: float = Field(0.5, gt=0, lt=1, description="Score from which on an answer counts as positive.")
    costs: tuple[float, float] = Field((1.0, 1.0), description="Of a false positive and a false negative, for `cost`.")
    weight: str | None = Field(None, description="Column of the test set that says how much a row counts.")
    slices: Slices = Slices()
    calibration: Calibration = Calibration()
    behaviour: Behaviour = Behaviour()
    leakage: Leakage = Leakage()
    cost: Cost = Cost()
    champion_unusable: Literal["inconclusive", "first_release"] = Field(
        "inconclusive", description="What a champion or an anchor means that cannot score today's rows."
    )
    audit: str | None = Field(None, description="Parquet file of rows that were never used to choose anything.")

    @model_validator(mode="after")
    def _hangs_together(self) -> Policy:
        if self.promote == "non_inferior" and self.reason is None:
            raise ValueError("non_inferior needs a reason, such as: fresher data, cheaper, smaller")
        if self.promote == "non_inferior" and self.min_gain:
            raise ValueError("min_gain belongs to superior; non_inferior asks for no gain")
        if min(self.costs) < 0 or max(self.costs) == 0 or not all(map(math.isfinite, self.costs)):
            raise ValueError("costs must be finite and at least 0, and not both 0")
        if self.primary and self.primary in self.metrics and not self.metrics[self.primary].compare:
            raise ValueError(f"metrics.{self.primary}: the primary metric must be compared")
        return self
