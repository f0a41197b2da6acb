"""The data card: drift against the version before and the same season, pictures, and nothing that a page may not have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci.data.manifest import load_manifest
from ci.progress import Progress
from ci.publishing import card
from ci.publishing.verdict import verdict_of
from ci.publishing.versions import Proposal
from tests import shop
from tests.unit.data.conftest import Room
from tests.unit.publishing.test_parts import version

HOSTILE = "<b>|Y`"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("card"))
        room, frame = Room(Path()), shop.visits(14, 60)
        frame.loc[frame["at"] >= "2025-02", "age"] = 20  # another age than ever
        frame["town"] = frame["town"].replace("York", HOSTILE)
        how = {"params": {"as_of": "2025-03-01", "check": {"min_rows": 10}},
               "contract": {"columns": {"town": {"type": "string", "categories": [*shop.TOWNS, HOSTILE]}}}}  # fmt: skip
        room.checked(frame, **how)
        manifest = load_manifest(room.raw)
        verdict = verdict_of(manifest.version, room.verdict, Path("none"))
        subject = card.Subject(room.shop(**how), room.raw, manifest, verdict, Progress())
        proposal = Proposal("1.1.0", "minor: 2025-02 arrived", ["2025-02"], ["2024-03"])
        made = card.draw(subject, version("1.0.0"), proposal, Path("reports/shop/data_card"))
        assert sorted(path.name for path in Path("reports/shop/data_card").iterdir()) == sorted(made.files)
        yield made


def test_it_tells_how_far_columns_moved_and_since_when(drawn):
    moved, columns, periods = drawn.tables
    assert moved.columns[-2:] == ("since shop-data@v1.0.0", "drifted")
    name, psi, limit, season, former, drifted = moved.rows[0]
    assert (name, drifted) == ("age", True)
    assert min(psi, season) > limit
    assert 0 < former < psi  # half of what came is a restated month, which is as it was
    assert "against 2024-02" in moved.note
    told = {row[0]: row for row in columns.rows}
    assert told["spent"][5].endswith("%")
    assert told["id"][6:9:2] == (0, 839)
    assert [row[4] for row in periods.rows[:2]] == ["arrived", "as before"]
    assert dict((row[0], row[4]) for row in periods.rows)["2024-03"] == "restated"


def test_pictures_are_png(drawn):
    pictures = {name: raw for name, raw in drawn.files.items() if name.endswith(".png")}
    assert set(pictures) == {"periods.png", "drift.png", "distributions.png"}
    assert all(raw.startswith(b"\x89PNG\r\n") and len(raw) > 5000 for raw in pictures.values())


def test_the_page_keeps_to_what_jenkins_lets_a_page_do(drawn):
    page = drawn.files["card.html"].decode()
    assert not re.search(r"<script|style=|onload|https?://", page)
    assert HOSTILE not in page
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page)) == {
        "report.css",
        "periods.png",
        "drift.png",
        "distributions.png",
    }


def test_every_row_of_the_text_has_its_tables_cells(drawn):
    text = drawn.files["README.md"].decode()
    assert "<b>" not in text.replace(r"\<b\>", "")
    for block in re.findall(r"((?:^\|.*\n)+)", text, re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(cells) == 1, block[:300]
