"""
The door to registries: over HTTP, or an OCI image layout in a folder; one protocol (ci.packaging.interface.Registry).

docs/reference/registry.md describes what is asked of a registry, and how the folder is laid out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.registry.http import HttpRegistry
from ci.adapters.registry.layout import LayoutRegistry
from ci.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.packaging.interface import Registry
    from ci.params_packaging import Registry as Settings

__all__ = ["HttpRegistry", "LayoutRegistry", "found"]


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
    login = None
    if settings.username_env and settings.password_env:
        login = (_secret(settings.username_env, environ), _secret(settings.password_env, environ))
    return HttpRegistry(settings.url, login=login, ca=settings.ca, timeout_s=settings.timeout_s)


def _secret(name: str, environ: Mapping[str, str]) -> str:
    if not environ.get(name):
        raise BadInput(f"{name}: not set, and params.yaml says that it opens the registry")
    return environ[name]
