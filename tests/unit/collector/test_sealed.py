"""The service believes its bundle as far as the digests go, and names itself after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci.services.bundle import ServiceBundle, make
from collector import sealed
from serving.errors import BadOption
from tests.e2e.collectors import contract
from tests.unit.packaging import sealed as models


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    make([contract("York"), {**contract("Bonn"), "project": "inn"}], tmp_path / "b")
    return tmp_path / "b"


def test_it_takes_the_contracts_and_the_name_of_its_bundle(bundle: Path) -> None:
    found = sealed.load(str(bundle), "nowhere")
    assert sorted(found.contracts) == ["inn", "shop"]
    assert found.name == f"sha256:{ServiceBundle(bundle).digest[:12]}"
    assert list(found.contracts["shop"].columns) == list(contract("York")["columns"]), "in the contract's own order"


def test_without_a_bundle_it_takes_a_folder_and_is_no_release(tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(contract("York")))
    found = sealed.load("", str(tmp_path))
    assert (list(found.contracts), found.name) == (["shop"], "collector")


@pytest.mark.parametrize("name", ["contract.shop.json", "code.zip", "lineage.json"])
def test_an_altered_or_missing_file_is_refused_by_name(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes((bundle / name).read_bytes() + b" ")
    with pytest.raises(BadOption, match=f"{name}: sha256 is"):
        sealed.load(str(bundle), "")
    (bundle / name).unlink()
    with pytest.raises(BadOption, match=f"{name}: No such file"):
        sealed.load(str(bundle), "")


def test_a_contract_that_nobody_sealed_is_not_read(bundle: Path) -> None:
    (bundle / "contract.evil.json").write_text(json.dumps({**contract("York"), "project": "evil"}))
    assert "evil" not in sealed.load(str(bundle), "").contracts


def test_the_bundle_of_a_model_and_a_path_in_a_name_are_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="not the bundle of a collection service"):
        sealed.load(str(models.write(tmp_path / "model")), "")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["../tokens"] = manifest["files"]["code.zip"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadOption, match="is not a plain file name"):
        sealed.load(str(bundle), "")
