"""`notices` in params.yaml: who is told of verdicts, promotions, rollbacks and retrainings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ci.params import Model

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]
Kind = Literal["verdict", "promotion", "rollback", "retraining", "data"]
KINDS: tuple[Kind, ...] = ("verdict", "promotion", "rollback", "retraining", "data")


class Notices(Model):
    """One webhook; its address is a secret with some receivers, so it comes from the environment."""

    url_env: Variable = Field(
        "SLIPWAY_NOTICES_URL", description="Environment variable with the URL; not set: nobody is told."
    )
    secret_env: Variable = Field("SLIPWAY_NOTICES_SECRET", description="Environment variable with the signing secret.")
    style: Literal["json", "slack"] = Field("json", description="The notice itself, or a text as Slack takes it.")
    kinds: list[Kind] = Field(default_factory=lambda: list(KINDS), description="What others are told of.")
    private: bool = Field(True, description="May the receiver live at a private or loopback address?")
    ca: str | None = Field(None, description="File with the certificate authority (PEM).")
    timeout_s: float = Field(5, gt=0, le=60, description="Longest that one delivery may take, seconds.")
    patience_s: float = Field(15, gt=0, le=300, description="Longest that a step spends on deliveries, seconds.")
    keep_days: float = Field(7, gt=0, le=365, description="What could not be delivered for so long is given up, days.")
    outbox: str = Field(".slipway/notices", description="Folder in which notices wait until they have arrived.")
