"""The age of the data behind the live model, beside its predictions."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from serving import bundle
from serving.model import Model
from serving.telemetry import Telemetry, new_page
from tests.unit.serving import bundles

SAMPLE = 'slipway_data_watermark_seconds{model="flights",version="1.4.0",bundle="sha256:'


def shown(folder, lineage):
    if lineage is not None:
        (folder / "lineage.json").write_bytes(lineage)
        bundles.seal(folder)
    page = new_page()
    Telemetry(Model(bundle.read(folder), "1.4.0", 100), 0.1).write(page)
    return [line for line in page.render().decode().splitlines() if line.startswith("slipway_data_watermark")]


def lineage(watermark):
    return json.dumps({"schema_version": 1, "data": {"version": "d" * 64, "watermark": watermark}}).encode()


@pytest.mark.parametrize("text", ["2013-06-30T23:59:00", "2013-07-01T01:59:00+02:00"])
def test_the_newest_row_is_told_in_seconds_and_utc(fresh, text):
    (line,) = shown(fresh, lineage(text))
    assert line.startswith(SAMPLE)
    assert float(line.split()[-1]) == datetime(2013, 6, 30, 23, 59, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("raw", [None, b"{", b"[]", b"\xff", lineage(None), lineage("yesterday"), lineage(7), b"{}"])
def test_a_lineage_that_does_not_say_so_keeps_no_model_from_answering(fresh, raw):
    assert shown(fresh, raw) == []
