"""
The door to registries: over HTTP, or an OCI image layout in a folder; one protocol (ci.packaging.interface.Registry).

docs/reference/registry.md describes what is asked of a registry, and how the folder is laid out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ci.adapters.registry.http import HttpRegistry
from ci.adapters.registry.layout import LayoutRegistry
from ci.errors import BadInput
from ci.packaging.oci import checked, is_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.packaging.interface import Registry
    from ci.params_packaging import Registry as Settings

__all__ = ["HttpRegistry", "LayoutRegistry", "address", "found", "login"]


def found(settings: Settings, environ: Mapping[str, str] = os.environ) -> Registry:
    """
    Open the registry that params.yaml names, without asking it anything yet.

    Raises:
        BadInput: a variable that should hold a name or password is not set, or the CA file is missing.
    """
    if settings.url is None:
        return LayoutRegistry(Path(settings.layout), settings.timeout_s)
    if settings.ca and not Path(settings.ca).is_file():
        raise BadInput(f"registry.ca: {settings.ca}: no such file")
    named = None
    if settings.username_env and settings.password_env:
        named = (_secret(settings.username_env, environ), _secret(settings.password_env, environ))
    return HttpRegistry(settings.url, login=named, ca=settings.ca, timeout_s=settings.timeout_s)


def login(settings: Settings, environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """Return name and password for whoever talks to the registry in our place; None where it asks for none, or none is here."""
    given = [environ.get(name) for name in (settings.username_env, settings.password_env) if name]
    return (given[0], given[1]) if len(given) == 2 and given[0] and given[1] else None  # a pair


def address(settings: Settings, repository: str, reference: str) -> str:
    """Return what a server is told as `--model`, to find a tag or digest in this registry (docs/how-to/swap-a-model.md)."""
    checked(repository, reference)
    named = f"{repository}{'@' if is_digest(reference) else ':'}{reference}"
    if settings.url is None:
        return f"oci-layout://{quote(str(Path(settings.layout).resolve()))}:{named}"
    scheme, _, host = settings.url.partition("://")
    return f"oci{'+http' if scheme == 'http' else ''}://{host}/{named}"


def _secret(name: str, environ: Mapping[str, str]) -> str:
    if not environ.get(name):
        raise BadInput(f"{name}: not set, and params.yaml says that it opens the registry")
    return environ[name]
