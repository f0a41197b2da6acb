"""The bundle of the collection service: equal inputs give equal bytes, and what is not whole is refused by name."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ci.errors import BadInput
from ci.model.bundles import Bundle
from ci.packaging import locks
from ci.packaging.data import push
from ci.packaging.image import Lineage
from ci.releases.versions import Described, propose
from ci.services.bundle import CODE, ServiceBundle, make, zipped
from ci.services.golden import golden
from ci.services.sbom import bill
from tests.e2e.collectors import COLUMN, contract
from tests.unit.packaging import sealed


def made(folder: Path, *towns: str) -> ServiceBundle:
    make([contract(*towns)], folder)
    return ServiceBundle(folder)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ServiceBundle:
    return made(tmp_path_factory.mktemp("bundles") / "one", "York")


def described(bundle: ServiceBundle, recipe: str = "r") -> Described:
    return Described(bundle.digest, recipe, bundle.signature, bundle.lineage)


def test_equal_contracts_and_code_are_one_bundle(bundle: ServiceBundle, tmp_path: Path) -> None:
    assert made(tmp_path / "again", "York").digest == bundle.digest
    assert made(tmp_path / "other", "York", "Bonn").digest != bundle.digest


def test_it_names_no_commit_and_no_clock(bundle: ServiceBundle) -> None:
    assert set(bundle.lineage) == {"schema_version", "project", "data", "params", "settings", "code", "packages"}
    assert bundle.lineage["data"]["contracts"] == {"shop": contract("York")["digest"]}
    known = Lineage.of(bundle.folder, project="collector", version="1.0.0", bundle=bundle.digest, recipe="b" * 64)
    assert known.labels()["org.opencontainers.image.created"] == "2024-01-01T00:00:00Z"


def test_the_code_in_it_is_all_that_python_needs(bundle: ServiceBundle) -> None:
    with zipfile.ZipFile(bundle.folder / CODE) as archive:
        names = archive.namelist()
    assert {"collector/__main__.py", "serving/wire.py"} <= set(names)
    assert {name.split("/")[0] for name in names} == {"collector", "serving"}
    assert zipped(Path()) == zipped(Path())


def test_no_contract_and_no_code_are_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no project has a contract"):
        make([], tmp_path / "none")
    with pytest.raises(BadInput, match="collector: no code"):
        make([contract("York")], tmp_path / "none", tmp_path)
    assert not (tmp_path / "none").exists()


def test_a_change_that_senders_notice_is_major(bundle: ServiceBundle, tmp_path: Path) -> None:
    other = made(tmp_path / "b", "York", "Bonn")
    found = propose(described(other), described(bundle), "1.2.3")
    assert (found.version, found.why) == ("2.0.0", "major: callers notice: input shop.town: categories")


def test_other_code_is_minor_and_other_dependencies_a_patch(bundle: ServiceBundle) -> None:
    lineage = {**bundle.lineage, "code": {"collector": "0" * 64}}
    other = Described("b" * 64, "r", bundle.signature, lineage)
    assert propose(other, described(bundle), "1.2.3").version == "1.3.0"
    assert propose(described(bundle, "another recipe"), described(bundle), "1.2.3").version == "1.2.4"
    assert propose(described(bundle), described(bundle), "1.2.3").same


def test_a_lateness_that_changed_is_minor(bundle: ServiceBundle, tmp_path: Path) -> None:
    make([{**contract("York"), "lateness_days": 3}], tmp_path / "b")
    assert propose(described(ServiceBundle(tmp_path / "b")), described(bundle), "1.2.3").version == "1.3.0"


@pytest.mark.parametrize("name", ["contract.shop.json", CODE, "golden.json"])
def test_an_altered_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    made(tmp_path / "b", "York")
    (tmp_path / "b" / name).write_bytes(b"{}")
    with pytest.raises(BadInput, match=f"{name}: sha256 is"):
        ServiceBundle(tmp_path / "b")


def test_a_file_too_many_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "b", "York")
    (tmp_path / "b" / "contract.evil.json").write_text("{}")
    with pytest.raises(BadInput, match=r"contract\.evil\.json: not in the manifest"):
        ServiceBundle(tmp_path / "b")


def test_bundles_of_models_and_of_the_service_are_not_mistaken_for_each_other(
    bundle: ServiceBundle, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="is the bundle of a model, not of the collector"):
        ServiceBundle(sealed.write(tmp_path / "model"))
    with pytest.raises(BadInput):
        Bundle(bundle.folder)
    with pytest.raises(BadInput, match="it has no manifest"):
        ServiceBundle(tmp_path)


def test_it_is_an_artifact_as_other_bundles_are(bundle: ServiceBundle, tmp_path: Path) -> None:
    from ci.adapters.registry import LayoutRegistry
    from ci.packaging.data import pull

    store = LayoutRegistry(tmp_path / "layout")
    packaged = push(store, "slipway/collector-data", bundle.folder)
    assert push(store, "slipway/collector-data", bundle.folder) == packaged
    assert pull(store, packaged.repository, packaged.digest, tmp_path / "pulled") == bundle.digest


def test_its_bill_names_code_contracts_and_packages(bundle: ServiceBundle) -> None:
    packages = [locks.Locked("uvicorn", "1.0", ("a" * 64,))]
    found = json.loads(bill("collector", "1.0.0", bundle.folder, bundle.digest, packages))
    kinds = {item["name"]: item["type"] for item in found["components"]}
    assert kinds == {"collector-code": "application", "contract of shop": "data", "uvicorn": "library"}
    assert found == json.loads(bill("collector", "1.0.0", bundle.folder, bundle.digest, packages))


def column(kind: str, **more: Any) -> dict[str, Any]:
    return {**COLUMN, "type": kind, **more}


def test_golden_records_keep_each_contract_and_break_it_in_one_column() -> None:
    columns = {
        "when": column("datetime"), "size": column("integer", minimum=2.5, maximum=9), "cold": column("number", maximum=-4),
        "town": column("string", categories=["Łódź"]), "name": column("string", max_length=3), "new": column("boolean"),
        "after": column("number", role="after"),
    }  # fmt: skip
    (pair,) = golden([{"project": "p", "columns": columns}])["records"]
    assert pair["accepted"] == {"when": "2013-01-01T00:00:00", "size": 3, "cold": -4.0, "town": "Łódź", "name": "gol",
                                "new": False}  # fmt: skip
    assert pair["field"] == "when"
    assert {name for name in pair["accepted"] if pair["accepted"][name] != pair["refused"][name]} == {"when"}


def test_the_zip_is_read_by_others() -> None:
    with zipfile.ZipFile(io.BytesIO(zipped(Path()))) as archive:
        assert archive.testzip() is None
        assert all(item.date_time == (2024, 1, 1, 0, 0, 0) for item in archive.infolist())
