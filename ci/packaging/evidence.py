"""
Evidence beside what it speaks of: SBOM and signed provenance as referrers of a packaging, and their verification.

docs/reference/evidence.md describes what is kept, and how to verify it without us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.packaging import provenance
from ci.packaging.interface import MANIFEST, SBOM, STATEMENT
from ci.packaging.oci import EMPTY_BLOB, TITLE, artifact, descriptor, digest_of, parts
from ci.packaging.signing import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.packaging.interface import Registry
    from ci.packaging.provenance import Made, Statement
    from ci.packaging.signing import PublicKey, Signer
    from ci.releases.record import Packaged

LIMIT = 16 << 20  # bytes of one piece of evidence
_MOST = 100  # referrers that are looked at
_NAMES = {STATEMENT: "provenance.intoto.json", SBOM: "sbom.cdx.json"}


def publish(
    registry: Registry, packagings: Mapping[str, Packaged], made: Made, sbom: bytes, signer: Signer
) -> dict[str, str]:
    """
    Put SBOM and signed provenance beside each packaging; return their digests, as the release record keeps them.

    One statement speaks of all packagings of the release, and vouches for the SBOM. Doing it again changes nothing.

    Raises:
        BadInput, Unavailable: what the registry says.
    """
    subjects = {name: packaged.digest for name, packaged in packagings.items()}
    envelope = provenance.signed(made, subjects, {_NAMES[SBOM]: digest_of(sbom)}, signer)
    for packaged in packagings.values():
        attach(registry, packaged.repository, packaged.digest, SBOM, sbom)
        attach(registry, packaged.repository, packaged.digest, STATEMENT, envelope)
    return {"sbom": digest_of(sbom), "provenance": digest_of(envelope)}


def attach(registry: Registry, repository: str, subject: str, kind: str, data: bytes) -> str:
    """Push `data` as a referrer of a manifest; return the referrer's digest."""
    about = registry.pull_manifest(repository, subject)
    described = {"mediaType": about.media_type, "digest": about.digest, "size": len(about.raw)}
    registry.push_blob(repository, EMPTY_BLOB)
    registry.push_blob(repository, data)
    layer = descriptor(kind, data, annotations={TITLE: _NAMES.get(kind, "evidence")})
    return registry.push_manifest(repository, artifact(kind, [layer], {}, described), MANIFEST)


def verify(registry: Registry, repository: str, digest: str, trusted: Sequence[PublicKey]) -> list[Statement]:
    """
    Return the statements about a packaging that a trusted key has signed; at least one.

    Raises:
        Refused: there is none: `unsigned`, or why the first that there is does not hold (`key`, `signature`, `subject`,
            `predicate`, `format`).
        BadInput: the packaging is not there, or was altered.
        Unavailable: the registry does not answer.
    """
    what = f"{registry.place}: {repository}@{digest[:19]}…"
    registry.pull_manifest(repository, digest)
    held, refused = [], []
    for envelope in _kept(registry, repository, digest, STATEMENT):
        try:
            held.append(provenance.held(envelope, digest, trusted, what))
        except Refused as error:
            refused.append(error)
    if held:
        return held
    if refused:
        raise refused[0]
    raise Refused("unsigned", f"{what}: unsigned: no signed provenance refers to it")


def sbom_of(registry: Registry, repository: str, digest: str, statement: Statement) -> bytes:
    """
    Return the SBOM of a packaging that a verified statement vouches for.

    Raises:
        Refused: `subject`: none of those that are there is the one that was signed for.
    """
    wanted = statement.byproducts.get(_NAMES[SBOM])
    for found in _kept(registry, repository, digest, SBOM):
        if digest_of(found) == wanted:
            return found
    raise Refused(
        "subject", f"{registry.place}: {repository}@{digest[:19]}…: the SBOM that was signed for is not there"
    )


def _kept(registry: Registry, repository: str, digest: str, kind: str) -> list[bytes]:
    """Fetch the contents of what refers to a manifest and is of a kind."""
    found = [referrer for referrer, of_kind in registry.referrers(repository, digest) if of_kind == kind][:_MOST]
    kept = []
    for referrer in found:
        named = parts(registry.pull_manifest(repository, referrer).raw, f"{repository}@{referrer[:19]}…")
        layers = named.document.get("layers", [])
        if named.subject == digest and len(layers) == 1:
            kept.append(registry.pull_blob(repository, layers[0]["digest"], LIMIT))
    return kept
