"""
Who built a release from what: an in-toto Statement v1 with an SLSA provenance v1 predicate.

After in-toto/attestation spec/v1 and slsa.dev/spec/v1.1/provenance. It holds no clock and no serial number: the same
inputs give the same bytes, so that packaging a bundle twice gives one release.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ci.packaging.interface import STATEMENT
from ci.packaging.oci import spell
from ci.packaging.signing import Refused, enveloped, opened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.packaging.signing import PublicKey, Signer

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:slipway:package:v1"
LOCAL = "urn:slipway:builder:local"


@dataclass(frozen=True, slots=True)
class Made:
    """What a release was made from; digests in hex, `builder` a URI (Jenkins's, or LOCAL)."""

    project: str
    version: str
    bundle: str
    recipe: str
    lineage: Mapping[str, Any]
    git_commit: str | None = None
    builder: str = LOCAL


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement whose signature held: what it says, and by whose key."""

    document: Mapping[str, Any]
    key: str
    subjects: Mapping[str, str] = field(default_factory=dict)
    byproducts: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What was asked for: `project`, `version`, `bundle`."""
        found: Mapping[str, Any] = self.document["predicate"]["buildDefinition"]["externalParameters"]
        return found


def statement(made: Made, subjects: Mapping[str, str], byproducts: Mapping[str, str]) -> bytes:
    """State how `subjects` (name to `sha256:…`) were made; `byproducts` (the same) are vouched for, too."""
    lineage = made.lineage
    dependencies = [
        _hashed("bundle", made.bundle),
        _hashed("data", str(lineage["data"]["version"])),
        _hashed("params", str(lineage["params"])),
        *(_hashed(f"code/{name}", str(digest)) for name, digest in sorted(lineage["code"].items())),
    ]
    if made.git_commit:
        dependencies.append({"name": "source", "digest": {"gitCommit": made.git_commit}})
    return spell(
        {
            "_type": STATEMENT_TYPE,
            "subject": [_hashed(name, digest) for name, digest in sorted(subjects.items())],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "project": made.project,
                        "version": made.version,
                        "bundle": made.bundle,
                        "packagings": sorted(subjects),
                    },
                    "internalParameters": {"recipe": made.recipe},
                    "resolvedDependencies": dependencies,
                },
                "runDetails": {
                    "builder": {"id": made.builder},
                    "byproducts": [_hashed(name, digest) for name, digest in sorted(byproducts.items())],
                },
            },
        }
    )


def signed(made: Made, subjects: Mapping[str, str], byproducts: Mapping[str, str], signer: Signer) -> bytes:
    """Return the statement in its signed envelope."""
    return enveloped(STATEMENT, statement(made, subjects, byproducts), signer)


def held(envelope: bytes, subject: str, trusted: Sequence[PublicKey], what: str) -> Statement:
    """
    Open an envelope and hold its statement to the manifest that it came with.

    Raises:
        Refused: as `signing.opened`; `subject` (it speaks of something else), `predicate` (not how ours are built).
    """
    payload, key = opened(envelope, STATEMENT, trusted, what)
    try:
        document = json.loads(payload)
        kinds = document["_type"], document["predicateType"]
        subjects = _digests(document["subject"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Refused("format", f"{what}: not an in-toto statement ({error})") from error
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise Refused("predicate", f"{what}: its predicate is {str(kinds[1])[:80]}, not {PREDICATE_TYPE}")
    if subject not in subjects.values():
        raise Refused("subject", f"{what}: the statement is about other things: {', '.join(sorted(subjects))[:80]}")
    try:
        definition, details = document["predicate"]["buildDefinition"], document["predicate"]["runDetails"]
        found = Statement(document, key.fingerprint, subjects, _digests(details.get("byproducts", [])))
        whole = all(
            isinstance(definition["externalParameters"][name], str) for name in ("project", "version", "bundle")
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise Refused("predicate", f"{what}: the provenance is incomplete ({error})") from error
    if definition["buildType"] != BUILD_TYPE or not whole:
        raise Refused("predicate", f"{what}: built as {str(definition['buildType'])[:80]}, not as {BUILD_TYPE}")
    return found


def _digests(items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(item["name"]): f"sha256:{item['digest']['sha256']}" for item in items}


def _hashed(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
