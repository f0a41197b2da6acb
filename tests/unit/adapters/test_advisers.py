"""What is looked into before anything is released: the bundle, and the code that goes in beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.adapters.advisers import HouseAdvisers
from ci.params_packaging import Image
from ci.report import Found
from tests.unit.packaging import sealed

KEY = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed.write(tmp_path_factory.mktemp("bundle") / "b")


def test_bundle_server_and_wheel_are_looked_into_and_clean(bundle: Path) -> None:
    found, known = HouseAdvisers(None, Image()).scan(bundle)  # type: ignore[arg-type]
    assert (found.outcome, known.outcome) == (Found.PASSED, Found.SKIPPED)
    assert "not scanned" in known.message
    assert found.n is not None
    assert found.n > len(list(bundle.iterdir())) + len(list(Path("serving").glob("*.py")))


@pytest.mark.parametrize("name", ["ops.pem", "cache.pkl"])
def test_what_lies_in_the_servers_folder_is_found_by_name(bundle: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / name).write_bytes(KEY)
    found, _ = HouseAdvisers(None, Image(), code=(tmp_path / "serving",)).scan(bundle)  # type: ignore[arg-type]
    assert found.outcome is Found.REJECTED
    assert f"serving/{name}" in found.message


def test_code_alone_is_no_bundle(tmp_path: Path) -> None:
    found, _ = HouseAdvisers(None, Image()).scan(tmp_path)  # type: ignore[arg-type]
    assert found.outcome is Found.INCONCLUSIVE
