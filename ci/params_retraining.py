"""`retraining` in params.yaml: when a model is learned anew without a person asking, by whom, and how often at most."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from ci.params import Model

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]
ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]
ParameterValue = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{0,400}$")]


class Jenkins(Model):
    """A Jenkins controller and the job that learns anew; without a `url`, this checkout does it."""

    url: str | None = Field(
        None, pattern=r"^https?://[^/@\s?#]+(/[^@\s?#]*)?$", description="Root of the controller, without a password."
    )
    job: str = Field(
        "retrain", pattern=r"^[^/\\\x00-\x1f]+(/[^/\\\x00-\x1f]+)*$", description="Its full name: folder/retrain."
    )
    parameters: dict[ParameterName, ParameterValue] = Field(
        default_factory=dict, description="More parameters, beside PROJECT, AS_OF, REQUEST and REASON."
    )
    user_env: Variable = Field("SLIPWAY_JENKINS_USER", description="Environment variable with the user's name.")
    token_env: Variable = Field("SLIPWAY_JENKINS_TOKEN", description="Environment variable with an API token.")
    private: bool = Field(True, description="May it live at a private or loopback address? It usually does.")
    ca: str | None = Field(None, description="File with the certificate authority (PEM).")
    timeout_s: float = Field(30, gt=0, le=300, description="Longest that one request may take, seconds.")
    tries: int = Field(4, ge=1, le=10, description="Tries of one request; waits between them double.")
    poll_s: float = Field(10, gt=0, le=600, description="Time between two looks at queue and build, seconds.")
    follow_s: float = Field(14_400, gt=0, le=604_800, description="Longest wait for the build's end, seconds.")


class Renewal(Model):
    """`retrain` in a project's params: when a new data version is a reason to learn anew."""

    on: Literal["always", "drift", "schedule", "never"] = Field(
        "drift", description="Each data version; one that drifted; one that is much newer than the live release; none."
    )
    drifted_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of drifted features that is a reason; the target or a critical one always is.",
    )
    every_days: float = Field(28, gt=0, le=3650, description="By how much newer it must be (schedule), days.")


class Retraining(Model):
    """What starts a retraining, and what holds it back; safe as it stands."""

    enabled: bool = Field(True, description="False only says what would be done.")
    k: int = Field(3, ge=1, le=100, description="Windows, the newest among them, that must be worse.")
    n: int = Field(5, ge=1, le=200, description="Newest windows that are counted.")
    memory_s: float = Field(
        604_800, ge=60, le=31_536_000, description="Windows older than this are forgotten, seconds."
    )
    cooldown_s: float = Field(86_400, ge=0, le=31_536_000, description="Shortest time between two starts, seconds.")
    daily: int = Field(1, ge=1, le=100, description="Most starts in any 24 hours.")
    new_days: float = Field(1, ge=0, le=3650, description="Days by which the new as_of must be past the release's.")
    new_rows: int = Field(1, ge=1, description="Rows that must have arrived since the release's as_of.")
    jenkins: Jenkins = Jenkins()

    @model_validator(mode="after")
    def _hangs_together(self) -> Retraining:
        if self.k > self.n:
            raise ValueError("k is above n: that many windows can never agree")
        return self
