"""`watching` in params.yaml: how often a live release must look worse before it is taken back, and the rest after that."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ci.params import Model, Name

Cause = Literal["quality", "drift", "code"]


class Watching(Model):
    """How `steps.watch` decides; safe as it stands."""

    k: int = Field(2, ge=1, le=50, description="Looks, the newest among them, that must find the release worse.")
    n: int = Field(3, ge=1, le=100, description="Newest looks that are counted.")
    memory_s: float = Field(86_400, ge=60, le=31_536_000, description="Looks older than this are forgotten, seconds.")
    quiet_s: float = Field(3600, ge=60, le=31_536_000, description="After a rollback nothing is taken back, seconds.")
    causes: dict[Name, Cause] = Field(
        {"scores": "drift", "quality": "quality"},
        description="Metric to what it tells of; a metric that is not named here tells of the code.",
    )

    @model_validator(mode="after")
    def _hangs_together(self) -> Watching:
        if self.k > self.n:
            raise ValueError("k is above n: that many looks can never agree")
        return self
