from __future__ import annotations

import re
from pathlib import Path

from ci.contract import Column, Contract
from ci.project import ProjectParams
from ci.scaffold.reference import PAGE, page

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(), "run python -m ci.scaffold.reference"


def test_every_key_is_described() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\|$", page(), re.MULTILINE)
    for model in (Contract, Column, ProjectParams):
        assert set(model.model_fields) <= set(rows)


def test_every_link_leads_somewhere() -> None:
    headings = {line.removeprefix("### ").strip().lower() for line in page().splitlines() if line.startswith("### ")}
    assert set(re.findall(r"\]\(#(\w+)\)", page())) <= headings
