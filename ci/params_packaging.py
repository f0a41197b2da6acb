"""`registry` and `signing` in params.yaml: where releases are kept, and by whose key they are known."""

from __future__ import annotations

from pydantic import Field, model_validator

from ci.params import Model


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
