"""
A story: somebody brings a CSV that the repository has never seen, and has a sealed bundle without editing a line.

Given a clone and a CSV of mixed types with missing values and texts of several alphabets, when the scaffold has run,
then `repro` ends with a bundle whose golden rows any ONNX runtime confirms.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from tests.integration.conftest import Checkout, new_checkout

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
STAGES = ["ingest", "check_data", "prepare", "train", "evaluate", "bundle"]


def customers(rows: int = 700, seed: int = 11) -> pd.DataFrame:
    """What a shop's export looks like: nothing in it was made for machines."""
    draw = np.random.default_rng(seed)
    months, weight = draw.integers(0, 72, rows), draw.normal(70, 12, rows)
    stays = draw.random(rows) < 1 / (1 + np.exp(-(months - 30) / 12 + (weight - 70) / 20))
    days = np.sort(draw.integers(0, 200, rows))
    made = pd.DataFrame(
        {
            "Kunden-Nr": [f"K{number:05d}" for number in draw.permutation(rows)],
            "Gewicht (kg)": weight.round(1),
            "città d'origine": draw.choice(["Zürich", "Łódź", "東京", "Mu\u0308nchen", 'Sant "A"'], rows),
            "months.active": months,
            "VIP": draw.choice(["yes", "no"], rows),
            "opt_in": draw.choice(["true", "false"], rows),
            "paid": draw.integers(0, 2, rows),
            "plan code": draw.choice([101, 205, 330], rows),
            "Umsatz €": [
                f"{value:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")
                for value in draw.gamma(2, 900, rows)
            ],
            "TotalCharges": [f"{value:.2f}" for value in draw.gamma(2, 50, rows)],
            "Kaufdatum": (pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D")).strftime("%d.%m.%Y"),
            "e-mail": [f"someone{number}@example.org" for number in range(rows)],
            "Kommentar": [f'sagte:\n"gut", dann {number}; weiter 👍' for number in range(rows)],
            "land": "CH",
            "leer": None,
            "Grund der Kündigung": np.where(stays, None, draw.choice(["Preis", "Umzug"], rows)),
            "bleibt?": np.where(stays, "ja", "nein"),
        }
    )
    made.loc[made.index % 50 == 3, "TotalCharges"] = " "
    for name, share in {
        "Gewicht (kg)": 0.1,
        "città d'origine": 0.1,
        "VIP": 0.05,
        "opt_in": 0.1,
        "paid": 0.05,
        "bleibt?": 0.02,
    }.items():
        made[name] = made[name].astype(object).mask(draw.random(rows) < share)
    return made


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "clone").mkdir()
    return new_checkout(tmp_path / "clone")


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def seconds(moment: str) -> int:
    """Wall clock to seconds since 1970-01-01T00:00."""
    return int(pd.Timestamp(moment).timestamp())


def encoded(rows: list[dict[str, object]], signature: dict[str, object]) -> dict[str, np.ndarray]:
    """Encode as docs/reference/bundle.md says, with nothing of the pipeline's own code."""
    groups: dict[str, list[str]] = signature["graph"]
    how = {
        "numbers": (np.float32, lambda value: np.nan if value is None else float(value)),
        "texts": (object, lambda value: unicodedata.normalize("NFC", value or "")),
        "times": (np.int64, seconds),
    }
    return {
        group: np.array([[how[group][1](row[name]) for name in names] for row in rows], dtype=how[group][0])
        for group, names in groups.items()
        if names
    }


def goldens_hold(bundle: Path) -> int:
    """Return how many golden rows an ONNX runtime confirms; assert that it confirms all."""
    golden, signature = (json.loads((bundle / name).read_text()) for name in ("golden.json", "signature.json"))
    session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    tensors = encoded(golden["rows"], signature)
    answers = session.run(None, {item.name: tensors[item.name] for item in session.get_inputs()})[0]
    wanted = np.array(golden["outputs"])
    assert (np.abs(answers - wanted) <= golden["tolerance"] * np.maximum(1, np.abs(wanted))).all()
    return len(wanted)


def test_a_stranger_s_csv_becomes_a_bundle_without_an_edit(checkout: Checkout, tmp_path: Path) -> None:
    csv = tmp_path / "Kunden 2024.csv"
    customers().to_csv(csv, sep=";")  # with pandas' nameless index column

    made = checkout.run("steps.new_project", "--name", "churn", "--csv", str(csv), "--target", "bleibt?")
    assert made.returncode == 0, made.stderr
    assert "looks like a leak" in made.stderr
    assert "Grund der Kündigung" in made.stderr
    assert "personal data" in made.stderr
    written = digests(checkout.path / "projects" / "churn")
    checkout.commit("churn")

    ran = checkout.run("steps.repro", "--project", "churn")
    assert ran.returncode == 0, ran.stderr
    outcomes = {
        step: json.loads((checkout.path / "reports/churn" / f"{step}.json").read_text())["outcome"] for step in STAGES
    }
    assert outcomes == dict.fromkeys(STAGES, "passed")
    assert digests(checkout.path / "projects" / "churn") == written, "zero lines were edited"

    bundle = checkout.path / "artifacts" / "churn"
    assert goldens_hold(bundle) >= 20
    signature = json.loads((bundle / "signature.json").read_text())
    inputs = {item["name"]: item["type"] for item in signature["inputs"]}
    assert inputs == {
        "Gewicht (kg)": "number",
        "città d'origine": "string",
        "months.active": "integer",
        "VIP": "string",
        "opt_in": "boolean",
        "paid": "boolean",
        "plan code": "string",
        "Umsatz €": "number",
        "TotalCharges": "number",
        "Kaufdatum": "datetime",
    }
    assert signature["output"]["name"] == "probability"
    evaluation = json.loads((bundle / "evaluation.json").read_text())
    assert evaluation["metrics"]["auc"]["low"] > 0.6, "it learned something"


def test_a_csv_without_dates_and_with_numbers_to_predict(checkout: Checkout) -> None:
    draw = np.random.default_rng(3)
    area, rooms = draw.gamma(4, 25, 200).round(1), draw.integers(1, 6, 200)
    flats = pd.DataFrame({"Fläche m²": area, "rooms": rooms, "balcony": draw.choice(["yes", "no", None], 200)})
    flats["rent"] = (area * 14 + rooms * 30 + draw.normal(0, 250, 200)).round(2)
    (checkout.path / "sources").mkdir()
    flats.to_csv(checkout.path / "sources" / "flats.csv", index=False)

    made = checkout.run("steps.new_project", "--name", "flats", "--csv", "sources/flats.csv", "--target", "rent")
    assert made.returncode == 0, made.stderr
    assert 'path: "sources/flats.csv"' in (checkout.path / "projects/flats/params.yaml").read_text()
    for step in STAGES:
        ran = checkout.run(f"steps.{step}", "--project", "flats")
        assert ran.returncode == 0, ran.stderr
    assert goldens_hold(checkout.path / "artifacts" / "flats") >= 20
