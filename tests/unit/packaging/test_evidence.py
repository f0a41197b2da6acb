"""Evidence: what it says, that it does not change by itself, and that it is refused by name when it does not hold."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ci.adapters.registry import LayoutRegistry
from ci.errors import BadInput
from ci.packaging import data, evidence
from ci.packaging.interface import SBOM, STATEMENT
from ci.packaging.locks import Locked
from ci.packaging.oci import digest_of
from ci.packaging.provenance import Made, statement
from ci.packaging.sbom import sbom
from ci.packaging.signing import Refused, Signer, encoded, enveloped
from tests.unit.serving import bundles

LINEAGE = {
    "data": {"version": "d" * 64, "as_of": "2024-05-01"},
    "params": "e" * 64,
    "code": {"project": "f" * 64, "pipeline": "0" * 64},
}
EVALUATION = {"metrics": {"auc": {"value": 0.75, "low": 0.7, "high": 0.8}, "n": {"value": 3.0}}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    folder = bundles.write(tmp_path_factory.mktemp("bundle") / "b", seed=0)
    (folder / "lineage.json").write_text(json.dumps(LINEAGE))
    (folder / "evaluation.json").write_text(json.dumps(EVALUATION))
    return bundles.seal(folder)


@pytest.fixture
def registry(tmp_path):
    return LayoutRegistry(tmp_path / "registry")


SIGNER, OTHER = (Signer(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (1, 2))
MADE = Made("flights", "1.4.0", "b" * 64, "a" * 64, LINEAGE, "c" * 40)
REPOSITORY = "slipway/flights"


def published(registry, bundle, signer=SIGNER):
    packaged = data.push(registry, REPOSITORY, bundle, ["1.4.0"])
    return packaged, evidence.publish(registry, {"data": packaged}, MADE, b'{"a": 1}', signer)


def test_what_was_published_verifies_and_doing_it_again_changes_nothing(registry, bundle):
    packaged, kept = published(registry, bundle)
    assert published(registry, bundle) == (packaged, kept)
    assert len(list(registry.referrers(REPOSITORY, packaged.digest))) == 2
    (found,) = evidence.verify(registry, REPOSITORY, packaged.digest, [OTHER.public, SIGNER.public])
    assert found.key == SIGNER.fingerprint
    assert found.parameters["version"] == "1.4.0"
    assert found.subjects == {"data": packaged.digest}
    dependencies = {
        item["name"]: item["digest"] for item in found.document["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    assert dependencies["data"] == {"sha256": "d" * 64}
    assert dependencies["source"] == {"gitCommit": "c" * 40}
    assert evidence.sbom_of(registry, REPOSITORY, packaged.digest, found) == b'{"a": 1}'
    assert kept["sbom"] == digest_of(b'{"a": 1}')


def refused(registry, digest, *keys) -> Refused:
    with pytest.raises(Refused) as caught:
        evidence.verify(registry, REPOSITORY, digest, [key.public for key in keys])
    assert digest[:19] in str(caught.value)
    return caught.value


def test_unsigned_and_foreign_keys(registry, bundle):
    packaged = data.push(registry, REPOSITORY, bundle)
    assert refused(registry, packaged.digest, SIGNER).reason == "unsigned"
    published(registry, bundle, OTHER)
    found = refused(registry, packaged.digest, SIGNER)
    assert (found.reason, OTHER.fingerprint[:12] in str(found)) == ("key", True)
    assert refused(registry, packaged.digest).reason == "key"  # nobody is trusted: nothing holds


def forged(change):
    """An envelope whose payload was changed after it was signed."""
    document = json.loads(enveloped(STATEMENT, b'{"a": 1}', SIGNER))
    change(document)
    return json.dumps(document).encode()


def of(document, kind=STATEMENT):
    return enveloped(kind, json.dumps(document).encode(), SIGNER)


def honest(packaged, **changes):
    return json.loads(statement(MADE, {"data": packaged.digest}, {})) | changes


@pytest.mark.parametrize(
    ("envelope", "reason", "words"),
    [
        (lambda p: b"{", "format", "not a signed envelope"),
        (lambda p: b'{"payload": "!", "signatures": []}', "format", "not a signed envelope"),
        (lambda p: forged(lambda d: d.update(signatures=[])), "unsigned", "no signature"),
        (lambda p: forged(lambda d: d.update(payload=base64.b64encode(b"{}").decode())), "signature", "tampered with"),
        (lambda p: forged(lambda d: d.update(payloadType="text/plain")), "format", "holds text/plain"),
        (lambda p: enveloped("text/plain", b"{}", SIGNER), "format", "holds text/plain"),
        (lambda p: of({"a": 1}), "format", "not an in-toto statement"),
        (lambda p: of(honest(p, predicateType="https://example.org/x")), "predicate", "its predicate is"),
        (
            lambda p: of(honest(p, subject=[{"name": "x", "digest": {"sha256": "0" * 64}}])),
            "subject",
            "other things: x",
        ),
        (lambda p: of(honest(p, predicate={})), "predicate", "incomplete"),
        (
            lambda p: of(json.loads(json.dumps(honest(p)).replace("urn:slipway:package:v1", "urn:x"))),
            "predicate",
            "built as",
        ),
    ],
)
def test_what_does_not_hold_is_refused_by_name(registry, bundle, envelope, reason, words):
    packaged = data.push(registry, REPOSITORY, bundle)
    evidence.attach(registry, REPOSITORY, packaged.digest, STATEMENT, envelope(packaged))
    found = refused(registry, packaged.digest, SIGNER)
    assert (found.reason, words in str(found)) == (reason, True), str(found)
    assert "\n" not in str(found)
    published(registry, bundle)  # one that holds is enough, whatever lies beside it
    assert evidence.verify(registry, REPOSITORY, packaged.digest, [SIGNER.public])


def test_an_sbom_that_nobody_signed_for_is_not_taken(registry, bundle):
    packaged, _ = published(registry, bundle)
    (found,) = evidence.verify(registry, REPOSITORY, packaged.digest, [SIGNER.public])
    for referrer, kind in list(registry.referrers(REPOSITORY, packaged.digest)):
        if kind == SBOM:
            registry.delete(REPOSITORY, referrer)
    evidence.attach(registry, REPOSITORY, packaged.digest, SBOM, b'{"forged": true}')
    with pytest.raises(Refused, match="not there"):
        evidence.sbom_of(registry, REPOSITORY, packaged.digest, found)


def test_pre_authentication_encoding_is_the_published_one():
    """The example of the DSSE specification (protocol.md, "Test vectors")."""
    assert (
        encoded("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_key_shows_itself_to_nobody():
    raw = SIGNER.key.private_bytes_raw()
    assert raw.hex() not in repr(SIGNER)
    assert repr(SIGNER) == f"Signer({SIGNER.fingerprint[:12]})"


def test_bundles_come_back_whole_or_not_at_all(registry, bundle, tmp_path):
    packaged = data.push(registry, REPOSITORY, bundle)
    assert data.push(registry, "other/place", bundle).digest == packaged.digest
    digest = data.pull(registry, REPOSITORY, packaged.digest, tmp_path / "back")
    assert {p.name: p.read_bytes() for p in (tmp_path / "back").iterdir()} == {
        p.name: p.read_bytes() for p in bundle.iterdir()
    }
    assert f"sha256:{digest}" == digest_of((bundle / "manifest.json").read_bytes())
    assert packaged.size == sum(path.stat().st_size for path in bundle.iterdir()) + 2
    with pytest.raises(BadInput, match="bytes, more than"):
        data.pull(registry, REPOSITORY, packaged.digest, tmp_path / "small", limit=1000)
    (blob,) = (tmp_path / "registry" / REPOSITORY).rglob(digest_of((bundle / "model.onnx").read_bytes())[7:])
    blob.write_bytes(b"x" * blob.stat().st_size)
    with pytest.raises(BadInput, match="altered"):
        data.pull(registry, REPOSITORY, packaged.digest, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "extra.txt").write_text("x"), "extra.txt: not in the manifest"),
        (lambda f: (f / "golden.json").unlink(), "golden.json: missing"),
        (lambda f: (f / "golden.json").write_text("{}"), "golden.json: is sha256:"),
        (lambda f: (f / "manifest.json").write_text("[]"), "not a seal"),
        (lambda f: (f / "manifest.json").unlink(), "not a bundle"),
    ],
)
def test_what_is_not_sealed_does_not_go_up(registry, bundle, tmp_path, spoil, words):
    folder = tmp_path / "spoilt"
    folder.mkdir()
    for path in bundle.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    spoil(folder)
    with pytest.raises(BadInput, match=words):
        data.push(registry, REPOSITORY, folder)
    assert registry.tags(REPOSITORY) == []


def test_only_bundles_are_pulled_as_bundles(registry, bundle, tmp_path):
    packaged, _ = published(registry, bundle)
    other = next(referrer for referrer, _ in registry.referrers(REPOSITORY, packaged.digest))
    with pytest.raises(BadInput, match="not a model bundle"):
        data.pull(registry, REPOSITORY, other, tmp_path / "none")


PACKAGES = [Locked("numpy", "2.1.0", ("a" * 64, "b" * 64)), Locked("uvicorn", "0.32.0", ("c" * 64,))]


def test_the_bill_of_materials(bundle):
    made = sbom("flights", "1.4.0", bundle, "b" * 64, PACKAGES)
    assert sbom("flights", "1.4.0", bundle, "b" * 64, PACKAGES) == made
    assert sbom("flights", "1.4.0", bundle, "c" * 64, PACKAGES) != made
    document = json.loads(made)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["timestamp"].startswith("2024-05-01T00:00:00")
    named = {item["name"]: item for item in document["components"]}
    assert set(named) == {"flights-model", "numpy", "uvicorn"}
    assert named["numpy"]["purl"] == "pkg:pypi/numpy@2.1.0"
    card = named["flights-model"]["modelCard"]
    assert card["modelParameters"]["task"] == "classification"
    assert card["quantitativeAnalysis"]["performanceMetrics"][0]["confidenceInterval"] == {
        "lowerBound": "0.7",
        "upperBound": "0.8",
    }


def test_the_bill_keeps_the_published_schema(bundle):
    """Against the schema of CycloneDX 1.6 itself, as the library carries it."""
    jsonschema = pytest.importorskip(
        "jsonschema_rs", reason="jsonschema_rs is not installed (it comes with schemathesis)"
    )
    import cyclonedx.schema._res as resources

    folder = Path(resources.__file__).parent
    schema = json.loads((folder / "bom-1.6.SNAPSHOT.schema.json").read_text())
    known = {}
    for name in ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"):
        known[f"http://cyclonedx.org/schema/{name}"] = json.loads((folder / name).read_text())
    validator = jsonschema.validator_for(schema, retriever=lambda uri: known[uri])
    document = json.loads(sbom("flights", "1.4.0", bundle, "b" * 64, PACKAGES))
    validator.validate(document)
    model = next(item for item in document["components"] if "modelCard" in item)
    model["modelCard"]["surprise"] = 1
    assert not validator.is_valid(document)
