"""`services` in params.yaml: what Slipway itself runs beside the models, released and deployed as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ci.params import COLLECTOR, Model
from ci.params_environments import Strategy
from ci.params_verification import Verification

if TYPE_CHECKING:
    from ci.params_environments import Environment

EnvName = r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"


class ServiceStrategy(Model):
    """How traffic moves between two releases of a service: nobody compares their answers."""

    kind: Literal["blue_green", "rolling"] = Field(
        "blue_green", description="blue_green: a sender meets one contract at a time; rolling: server by server."
    )


class Collector(Model):
    """The collection service."""

    strategy: ServiceStrategy = ServiceStrategy()
    instances: int = Field(1, ge=1, le=16, description="Servers of one release; they share one store.")
    store_env: str | None = Field(
        None, pattern=EnvName,
        description="Environment variable with a PostgreSQL URL; if null, SQLite in the environment's own folder or volume.",
    )  # fmt: skip
    tokens: str = Field(
        ".slipway/collector/tokens",
        description="File with a line per sender, kept with the environment; COLLECTOR_TOKENS names another one.",
    )
    hash_key_env: str | None = Field(
        None, pattern=EnvName, description="Environment variable with the key of sensitive columns that are hashed."
    )
    max_disk_mb: int = Field(0, ge=0, description="Room that store and files may take, megabytes; 0: no limit.")
    min_free_mb: int = Field(512, ge=0, description="Room that is left free on the device, megabytes.")
    keep_predictions_days: float = Field(
        0, ge=0, description="How long predictions are kept after labels could come for them; 0: for ever."
    )
    keep_quarantine_days: float = Field(0, ge=0, description="How long refused records are kept; 0: for ever.")
    memory_mb: int = Field(1024, ge=128, description="Memory limit of a container, megabytes.")

    def seen_in(self, environment: Environment) -> Environment:
        """Return an environment as this service sees it: another strategy, its own servers, health for a verdict."""
        return environment.model_copy(
            update={
                "strategy": Strategy(kind=self.strategy.kind),
                "instances": self.instances,
                "verification": Verification(by="health"),
            }
        )


class Services(Model):
    """What runs beside the models; `steps.status` and `make stop` look at those that are named here."""

    collector: Collector | None = Field(None, description="The collection service; {} takes it with its defaults.")

    def of(self, project: str) -> Collector | None:
        """Return a service's settings, its defaults if nobody set any; None for a project of models."""
        return (self.collector or Collector()) if project == COLLECTOR else None

    @property
    def named(self) -> list[str]:
        """Return the services that params.yaml names."""
        return [COLLECTOR] if self.collector is not None else []
