"""What every registry does, over HTTP (open, with a password, with tokens, with TLS) and in a folder."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from ci.adapters.registry import LayoutRegistry, address, found
from ci.errors import BadInput, Unavailable
from ci.packaging.interface import EMPTY, INDEX, MANIFEST
from ci.packaging.oci import DOCKER_MANIFEST, EMPTY_BLOB, artifact, descriptor, digest_of, fallback, spell
from ci.params_packaging import Registry as Settings
from tests.integration import registry as registries

KINDS = ["layout", "open", "basic", "token", "tls"]
TYPE = "application/vnd.test.v1"


@pytest.fixture(scope="module", params=KINDS)
def registry(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "layout":
        yield found(Settings(layout=str(folder)))
        return
    auth = {"open": "none", "tls": "basic"}.get(request.param, request.param)
    with registries.running(folder, auth, tls=request.param == "tls") as running:
        login = {} if auth == "none" else {"username_env": "U", "password_env": "P"}
        environ = {"U": registries.USER, "P": registries.PASSWORD}
        yield found(Settings(url=running.url, ca=running.ca, timeout_s=20, **login), environ)


@pytest.fixture
def repository(request) -> str:
    """A repository of its own for each test."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")
    return f"slipway/{name}"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # lock files


def push(registry, repository, content=b"content", tags=(), subject=None, kind=TYPE) -> str:
    registry.push_blob(repository, EMPTY_BLOB)
    registry.push_blob(repository, content)
    raw = artifact(kind, [descriptor("text/plain", content)], {}, subject)
    return registry.push_manifest(repository, raw, MANIFEST, tags)


def subject_of(registry, repository, digest) -> dict:
    manifest = registry.pull_manifest(repository, digest)
    return {"mediaType": manifest.media_type, "digest": digest, "size": len(manifest.raw)}


def test_what_goes_in_comes_out(registry, repository):
    content = bytes(range(256)) * 10
    assert not registry.has_blob(repository, digest_of(content))
    digest = push(registry, repository, content, ["1.0.0", "latest"])
    assert push(registry, repository, content, ["1.0.0"]) == digest
    assert registry.has_blob(repository, digest_of(content))
    assert registry.pull_blob(repository, digest_of(content), len(content)) == content
    for reference in (digest, "1.0.0", "latest"):
        assert registry.resolve(repository, reference) == digest
        manifest = registry.pull_manifest(repository, reference)
        assert (manifest.digest, manifest.media_type) == (digest, MANIFEST)
        assert digest_of(manifest.raw) == digest
    assert registry.tags(repository) == ["1.0.0", "latest"]


def test_large_blobs_go_in_pieces_from_a_file(registry, repository, tmp_path):
    source, target = tmp_path / "large", tmp_path / "back"
    source.write_bytes(b"0123456789abcdef" * (35 << 16))  # 35 MiB: two full pieces and a rest
    digest = registry.push_blob(repository, source)
    registry.save_blob(repository, digest, target, source.stat().st_size)
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(BadInput, match=r"bytes.*allowed"):
        registry.save_blob(repository, digest, tmp_path / "none", source.stat().st_size - 1)
    assert not (tmp_path / "none").exists()


def test_a_tag_moves_and_the_former_digest_stays(registry, repository):
    first = push(registry, repository, b"first", ["live"])
    second = push(registry, repository, b"second", ["live"])
    assert registry.resolve(repository, "live") == second
    assert registry.pull_manifest(repository, first).digest == first
    assert registry.tags(repository) == ["live"]


def test_what_is_not_there(registry, repository):
    absent = digest_of(b"absent")
    assert registry.resolve(repository, "none") is None
    assert registry.resolve(repository, absent) is None
    assert registry.tags(repository) == []
    assert list(registry.referrers(repository, absent)) == []
    registry.delete(repository, absent)
    for ask in (registry.pull_manifest, lambda r, d: registry.pull_blob(r, d, 10)):
        with pytest.raises(BadInput, match=f"{repository} has no {absent[:19]}"):
            ask(repository, absent)


def test_a_manifest_of_missing_parts_is_refused(registry, repository):
    raw = artifact(TYPE, [descriptor("text/plain", b"never pushed")], {})
    registry.push_blob(repository, EMPTY_BLOB)
    with pytest.raises(BadInput, match=repository):
        registry.push_manifest(repository, raw, MANIFEST, ["1.0.0"])
    assert registry.resolve(repository, "1.0.0") is None


def test_limits_hold(registry, repository):
    digest = registry.push_blob(repository, b"x" * 1000)
    with pytest.raises(BadInput, match="999"):
        registry.pull_blob(repository, digest, 999)


@pytest.mark.parametrize("name", ["../up", "Upper", "a//b", "/a", "a/", "a b", "", "a" * 300, "a/../b", "%2e%2e/x"])
def test_names_that_are_none_reach_nobody(registry, name):
    for ask in (
        lambda: registry.tags(name),
        lambda: registry.push_blob(name, b""),
        lambda: registry.resolve(name, "x"),
        lambda: registry.resolve("slipway/x", f"../{name}"),
        lambda: registry.pull_blob("slipway/x", f"sha256:{name}", 1),
    ):
        with pytest.raises(BadInput, match="not a|neither"):
            ask()


def test_promotion_between_repositories_brings_the_evidence(registry, repository):
    digest = push(registry, repository, b"promoted", ["1.0.0"])
    evidence = push(registry, repository, b"evidence", subject=subject_of(registry, repository, digest), kind="a/b")
    target = f"{repository}-live"
    registry.copy(repository, target, digest, ["1.0.0", "live"])
    assert registry.resolve(target, "live") == digest
    assert registry.pull_blob(target, digest_of(b"promoted"), 100) == b"promoted"
    assert list(registry.referrers(target, digest)) == [(evidence, "a/b")]
    assert registry.tags(target) == ["1.0.0", "live"]
    registry.copy(target, target, digest, ["again"])
    assert registry.resolve(target, "again") == digest


def test_an_index_is_promoted_with_what_it_lists(registry, repository):
    child = push(registry, repository, b"child")
    item = subject_of(registry, repository, child)
    index = spell({"schemaVersion": 2, "mediaType": INDEX, "manifests": [item]})
    digest = registry.push_manifest(repository, index, INDEX, ["all"])
    registry.copy(repository, f"{repository}-live", digest, ["all"])
    assert registry.pull_manifest(f"{repository}-live", "all").media_type == INDEX
    assert registry.pull_manifest(f"{repository}-live", child).digest == child


def test_delete_takes_tags_and_the_place_among_referrers(registry, repository):
    digest = push(registry, repository, b"subject", ["1.0.0"])
    subject = subject_of(registry, repository, digest)
    kept, gone = (push(registry, repository, text, subject=subject) for text in (b"kept", b"gone"))
    assert {found for found, _ in registry.referrers(repository, digest)} == {kept, gone}
    registry.delete(repository, gone)
    assert list(registry.referrers(repository, digest)) == [(kept, TYPE)]
    registry.delete(repository, digest)
    assert registry.resolve(repository, digest) is None
    assert registry.resolve(repository, "1.0.0") is None
    assert registry.tags(repository) == []


def test_all_who_refer_at_once_are_listed(registry, repository):
    digest = push(registry, repository, b"subject")
    subject = subject_of(registry, repository, digest)
    failed: list[BaseException] = []

    def refer(number: int) -> None:
        try:
            push(registry, repository, b"%d" % number, subject=subject)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=refer, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert len(list(registry.referrers(repository, digest))) == 6
    assert fallback(digest) not in registry.tags(repository)


def test_place_names_it_without_a_password(registry):
    assert registries.PASSWORD not in registry.place
    assert registries.PASSWORD not in repr(registry.__dict__)


def test_images_of_docker_are_kept_and_promoted_as_they_are(registry, repository):
    config, layer = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}', b"layer"
    for blob in (config, layer):
        registry.push_blob(repository, blob)
    kind = "application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"
    document = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": descriptor(kind[0], config)}
    raw = json.dumps(document | {"layers": [descriptor(kind[1], layer)]}, indent=3).encode()
    digest = registry.push_manifest(repository, raw, DOCKER_MANIFEST, ["1.0.0"])
    registry.copy(repository, f"{repository}-live", digest, ["1.0.0"])
    found = registry.pull_manifest(f"{repository}-live", "1.0.0")
    assert (found.raw, found.media_type, found.digest) == (raw, DOCKER_MANIFEST, digest)
    evidence = push(registry, repository, b"evidence", subject=subject_of(registry, repository, digest))
    assert list(registry.referrers(repository, digest)) == [(evidence, TYPE)]


@pytest.mark.parametrize("reference", ["live", digest_of(b"x")])
def test_servers_understand_the_addresses_that_they_are_told(tmp_path, reference):
    from serving.loader import source
    from serving.settings import Settings as Serving

    sign = "@" if reference.startswith("sha256:") else ":"
    for settings, wanted in [
        (Settings(layout=str(tmp_path / "a b")), f"oci-layout://{tmp_path}/a%20b:slipway/x{sign}{reference}"),
        (Settings(url="http://127.0.0.1:5000"), f"oci+http://127.0.0.1:5000/slipway/x{sign}{reference}"),
        (Settings(url="https://registry.example.org"), f"oci://registry.example.org/slipway/x{sign}{reference}"),
    ]:
        told = address(settings, "slipway/x", reference)
        assert told == wanted
        opened = source(Serving(model=told, allow_unsigned=True))
        assert opened._reference == reference
        assert opened._store.place.endswith("/slipway/x")


def test_a_layout_is_what_other_tools_read(tmp_path):
    """Against the image layout specification 1.1: oci-layout, index.json, blobs by digest."""
    registry = LayoutRegistry(tmp_path / "root")
    digest = push(registry, "slipway/flights", b"x", ["1.0.0"])
    folder = tmp_path / "root" / "slipway" / "flights"
    assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((folder / "index.json").read_text())
    (entry,) = index["manifests"]
    assert (index["schemaVersion"], entry["digest"]) == (2, digest)
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "1.0.0"}
    for blob in (folder / "blobs" / "sha256").iterdir():
        assert digest_of(blob.read_bytes()) == f"sha256:{blob.name}"
    manifest = json.loads((folder / "blobs" / "sha256" / digest[7:]).read_bytes())
    assert manifest["config"] == {"mediaType": EMPTY, "digest": digest_of(b"{}"), "size": 2}


def test_an_altered_blob_in_a_folder_is_refused_by_name(tmp_path):
    registry = LayoutRegistry(tmp_path)
    digest = push(registry, "a", b"honest", ["1"])
    path: Path = tmp_path / "a" / "blobs" / "sha256" / digest_of(b"honest")[7:]
    path.write_bytes(b"forged")
    with pytest.raises(BadInput, match=path.name):
        registry.pull_blob("a", digest_of(b"honest"), 100)
    (tmp_path / "a" / "blobs" / "sha256" / digest[7:]).write_bytes(b"{}")
    with pytest.raises(BadInput, match="altered"):
        registry.pull_manifest("a", "1")


def test_an_altered_blob_behind_http_is_refused_by_name(tmp_path):
    with registries.running(tmp_path / "r") as running:
        registry = found(Settings(url=running.url, timeout_s=20))
        digest = push(registry, "a", b"honest", ["1"])
        for name in (digest_of(b"honest"), digest):
            (path,) = running.storage.rglob(f"{name[7:]}/data")
            path.write_bytes(b"forged")
        with pytest.raises(BadInput, match=f"got sha256:.*, wanted {digest_of(b'honest')[:19]}"):
            registry.pull_blob("a", digest_of(b"honest"), 100)
        with pytest.raises((BadInput, Unavailable)):
            registry.pull_manifest("a", digest)
