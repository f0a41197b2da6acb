"""`params.yaml` at the root: what all projects share."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from ci.errors import BadInput
from ci.params import SERVICES, Model, ProjectName, load
from ci.params_environments import Environment
from ci.params_notices import Notices
from ci.params_packaging import Image, Ledger, Registry, Signing
from ci.params_retraining import Retraining
from ci.params_services import Services
from ci.params_watching import Watching

SHARED = Path("params.yaml")


class Remote(Model):
    """How patient `steps.repro` is with the DVC remote."""

    timeout_s: int = Field(600, ge=1, le=86_400, description="Longest that one pull or push may take, in seconds.")
    jobs: int = Field(4, ge=1, le=64, description="Parallel transfers.")


class Shared(Model):
    """`params.yaml`."""

    projects: list[ProjectName] = Field(min_length=1, description="Folders below projects/ that dvc.yaml builds.")
    remote: Remote = Remote()
    registry: Registry = Registry()
    signing: Signing = Signing()
    ledger: Ledger = Ledger()
    image: Image = Image()
    watching: Watching = Watching()
    retraining: Retraining = Retraining()
    notices: Notices = Notices()
    services: Services = Services()
    environments: list[Environment] = Field(
        default_factory=list, description="In promotion order: a release passes through all before the last."
    )

    @model_validator(mode="after")
    def _names_are_apart(self) -> Shared:
        names = [item.name for item in self.environments]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"environments: {name} is there twice")
        for name in SERVICES & {*self.projects}:
            raise ValueError(f"projects: {name} is the name of a service of Slipway's own")
        return self

    @property
    def running(self) -> list[str]:
        """Return everything that is released and deployed: the projects, and the services that are named."""
        return deployed(self, None)

    def of(self, project: str) -> Shared:
        """Return what holds for a project; a service has a strategy of its own, and statistics cannot judge it."""
        return self.model_copy(update={"environments": [self.seen(project, item) for item in self.environments]})

    def seen(self, project: str, environment: Environment) -> Environment:
        """Return an environment as a project, or a service, sees it."""
        service = self.services.of(project)
        return environment if service is None else service.seen_in(environment)


def shared() -> Shared:
    """
    Read the root's params.yaml.

    Raises:
        BadInput: missing, not YAML, or a key that breaks the model.
    """
    return load(Shared, SHARED)


def chosen(shared: Shared, only: str | None) -> list[str]:
    """
    Return all projects, or the one that is asked for.

    Raises:
        BadInput: there is no such project.
    """
    if only is not None and only not in shared.projects:
        raise BadInput(f"{only[:80]}: unknown project", hint=f"there are {', '.join(shared.projects)}")
    return [only] if only else list(shared.projects)


def deployed(shared: Shared, only: str | None) -> list[str]:
    """Return all that is deployed, or what is asked for: a project, or a service. Raises as `chosen`."""
    if only in SERVICES:
        return [only]
    return [*chosen(shared, only), *(shared.services.named if only is None else ())]
