"""`registry`, `ledger`, `signing` and `image` in params.yaml: where releases are kept, whose key they bear, what images stand on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from ci.params import Model

# Neither a quote nor a line end nor a dollar: a label must not be able to write its own Dockerfile.
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?$")]
LabelValue = Annotated[str, StringConstraints(pattern=r'^[^"\\$`\x00-\x1f\x7f]{0,400}$')]


class Registry(Model):
    """An OCI registry by URL, or (the embedded default) an OCI image layout in a folder of this machine."""

    url: str | None = Field(
        None, pattern=r"^https?://[^/@\s]+$", description="Scheme and host of the registry; the layout below if null."
    )
    layout: str = Field(".slipway/registry", description="Folder of the OCI image layout that is used without a URL.")
    namespace: str = Field(
        "slipway", pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$", description="Repositories are <namespace>/<project>."
    )
    ca: str | None = Field(None, description="File with the registry's certificate authority (PEM).")
    username_env: str | None = Field(None, description="Environment variable that holds the user's name.")
    password_env: str | None = Field(None, description="Environment variable that holds the password or token.")
    timeout_s: float = Field(60, gt=0, le=3600, description="Longest that one request may take, in seconds.")

    @model_validator(mode="after")
    def _hangs_together(self) -> Registry:
        if (self.username_env is None) is not (self.password_env is None):
            raise ValueError("username_env and password_env belong together")
        return self


class Ledger(Model):
    """Where the ledgers are kept: with a Git remote, which then arbitrates, or in one clone alone."""

    remote: str | None = Field(
        "auto", description="Name of the Git remote; `auto` is origin, or the only one; null keeps them in this clone."
    )

    @property
    def comparisons(self) -> str | None:
        """The same choice, as `steps.gate --comparisons` spells it."""
        return "local" if self.remote is None else None


class Signing(Model):
    """Ed25519 keys in PEM. The private key is only needed where releases are made."""

    key_file: str = Field(
        ".slipway/keys/signing.pem", description="Private key; generated, with a warning, when it is first needed."
    )
    key_env: str = Field("SLIPWAY_SIGNING_KEY", description="Environment variable that holds it; wins over the file.")
    trusted: list[str] = Field(
        default_factory=list,
        description="Files with public keys whose releases may run; the public half of the key above if empty.",
    )


class Image(Model):
    """The service image: what it stands on, and where its wheels come from."""

    base: str | None = Field(
        None,
        pattern=r"^([a-z0-9][a-z0-9._:/-]*@)?sha256:[0-9a-f]{64}$",
        description="Base image by digest: name@sha256:…, or the id of one that the engine has. "
        "If null, the one that ci/setup/base-image made.",
    )
    python: str = Field("3.11", pattern=r"^3\.\d{1,2}$", description="Version of Python in the base image.")
    platform: str = Field(
        "linux/amd64", pattern=r"^linux/(amd64|arm64)$", description="System and processor that the image is for."
    )
    wheelhouse: str = Field(".slipway/wheelhouse", description="Folder with the wheels of requirements-serving.lock.")
    offline: bool = Field(
        default=False, description="Never download: what the wheelhouse lacks is an error (air-gapped builds)."
    )
    user: int = Field(65_532, ge=1, le=2**31 - 1, description="Number of the user that the server runs as.")
    port: int = Field(8080, ge=1024, le=65_535, description="Port on which the server listens inside the container.")
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict, description="More labels, such as a vendor.")
    vulnerabilities: str | None = Field(
        None, description="OSV database of PyPI: a JSON file, a zip file or a folder. Not scanned if null."
    )
    timeout_s: float = Field(600, gt=0, le=7200, description="Longest that one build or push may take, in seconds.")
