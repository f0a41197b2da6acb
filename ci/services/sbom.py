"""What is in a release of the collection service: a CycloneDX 1.6 bill of its code, its contracts and the locked packages."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ci.files import read_json, sha256
from ci.packaging.oci import spell
from ci.packaging.sbom import NAMESPACE, hashed, libraries
from ci.services import CODE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ci.packaging.locks import Locked


def bill(project: str, version: str, bundle: Path, digest: str, packages: Sequence[Locked]) -> bytes:
    """
    Draw the bill of a release from its bundle (`digest` in hex) and the packages that it is locked to.

    Raises:
        BadInput: a file of the bundle is missing or not JSON.
    """
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    lineage = read_json(bundle / "lineage.json")
    release = Component(name=project, version=version, type=ComponentType.APPLICATION, bom_ref="release")
    code = Component(
        name=f"{project}-code", version=version, type=ComponentType.APPLICATION, bom_ref="code",
        hashes=hashed(sha256(bundle / CODE)),
    )  # fmt: skip
    contracts = [
        Component(
            name=f"contract of {name}", version=found[:12], type=ComponentType.DATA, bom_ref=f"contract-{name}",
            hashes=hashed(sha256(bundle / f"contract.{name}.json")),
        )
        for name, found in sorted(lineage["data"]["contracts"].items())
    ]  # fmt: skip
    parts = [code, *contracts, *libraries(packages)]
    moment = datetime.fromisoformat(str(lineage["data"]["as_of"])).replace(tzinfo=UTC)
    bom = Bom(components=parts, metadata=BomMetaData(component=release, timestamp=moment))
    bom.register_dependency(release, parts)
    made = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    seed = json.dumps([project, version, digest, *((item.name, item.version, item.hashes) for item in packages)])
    made["serialNumber"] = f"urn:uuid:{uuid.uuid5(NAMESPACE, seed)}"
    return spell(made)
