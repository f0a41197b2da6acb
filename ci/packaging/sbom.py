"""
What is in a release: a CycloneDX 1.6 bill of materials with the locked packages of the server and the model itself.

It is drawn from digests alone: serial number and time follow from the bundle, so that equal releases have equal bytes.
The library has no class for a model card yet; that part is added to its JSON after cyclonedx.org/docs/1.6 (modelCard).
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ci.packaging.oci import spell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cyclonedx.model import HashType
    from cyclonedx.model.component import Component

    from ci.packaging.locks import Locked

_MODEL = "model"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:slipway:sbom")
_TASKS = {"binary": "classification", "multiclass": "classification", "regression": "regression", "ranking": "ranking"}


def sbom(project: str, version: str, bundle: Path, digest: str, packages: Sequence[Locked]) -> bytes:
    """
    Draw the bill of a release from its bundle (`digest` in hex) and the packages that its server is locked to.

    Raises:
        BadInput: a file of the bundle is missing or not JSON.
    """
    from ci.files import read_json, sha256

    documents = {name: read_json(bundle / f"{name}.json") for name in ("signature", "evaluation", "lineage")}
    made = json.loads(_plain(project, version, sha256(bundle / "model.onnx"), documents["lineage"], packages))
    seed = json.dumps([project, version, digest, *((item.name, item.version, item.hashes) for item in packages)])
    made["serialNumber"] = f"urn:uuid:{uuid.uuid5(NAMESPACE, seed)}"
    model = next(item for item in made["components"] if item["type"] == "machine-learning-model")
    model["modelCard"] = _card(documents["signature"], documents["evaluation"])
    return spell(made)


def _plain(project: str, version: str, model: str, lineage: Mapping[str, Any], packages: Sequence[Locked]) -> str:
    """Let the library spell everything that it knows."""
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    release = Component(name=project, version=version, type=ComponentType.APPLICATION, bom_ref="release")
    learned = Component(
        name=f"{project}-model", version=version, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref=_MODEL,
        hashes=hashed(model),
        properties=[
            Property(name="slipway:data-version", value=str(lineage["data"]["version"])),
            Property(name="slipway:params", value=str(lineage["params"])),
        ],
    )  # fmt: skip
    moment = datetime.fromisoformat(str(lineage["data"]["as_of"])).replace(tzinfo=UTC)
    locked = libraries(packages)
    bom = Bom(components=[learned, *locked], metadata=BomMetaData(component=release, timestamp=moment))
    bom.register_dependency(release, [learned, *locked])
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()


def hashed(*digests: str) -> list[HashType]:
    """Return digests (hex sha256) as the library spells them."""
    from cyclonedx.model import HashAlgorithm, HashType

    return [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in digests]


def libraries(packages: Sequence[Locked]) -> list[Component]:
    """Return locked packages as components."""
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    return [
        Component(
            name=item.name, version=item.version, type=ComponentType.LIBRARY, bom_ref=item.purl,
            purl=PackageURL("pypi", name=item.name, version=item.version),
            # A locked package is one of several files (one for each platform); which one was installed, an image knows.
            properties=[Property(name="slipway:locked-sha256", value=digest) for digest in item.hashes],
        )
        for item in packages
    ]  # fmt: skip


def _card(signature: Mapping[str, Any], evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Say what the model is for, what goes in and out, and how good it was."""
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": _TASKS.get(signature["task"], str(signature["task"])),
            "inputs": [{"format": f"{item['name']}: {item['type']}"} for item in signature["inputs"]],
            "outputs": [{"format": f"{signature['output']['name']}: {signature['output']['type']}"}],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                {"type": name, "value": f"{item['value']:.6g}", **_interval(item)}
                for name, item in sorted(evaluation.get("metrics", {}).items())
            ]
        },
        "considerations": {"useCases": [str(signature.get("description", ""))]},
    }


def _interval(metric: Mapping[str, Any]) -> dict[str, Any]:
    low, high = metric.get("low"), metric.get("high")
    if low is None or high is None:
        return {}
    return {"confidenceInterval": {"lowerBound": f"{low:.6g}", "upperBound": f"{high:.6g}"}}
