"""What the server spells is what the service takes."""

from __future__ import annotations

import json

import msgspec
import pytest

from collector import reading
from collector.contract import Contract
from collector.event_form import EventForm
from collector.sensitive import Guard
from serving import bundle
from serving.events import spell
from serving.model import Model
from tests.unit.collector import shop
from tests.unit.serving import bundles


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_events_of_the_server_are_taken(tmp_path, task):
    model = Model(bundle.read(bundles.write(tmp_path / "bundle", task=task)), "1.4.0", 1000)
    known = ("type", "nullable", "minimum", "maximum", "categories", "unknown", "max_length")
    inputs = {found["name"]: {key: found[key] for key in known if found.get(key) is not None}
              for found in bundles.signature(task)["inputs"]}  # fmt: skip
    columns = {**inputs, "answer": {"type": "string", "role": "target", "nullable": True}}
    contract = msgspec.convert(
        {**shop.DOCUMENT, "columns": columns, "target": "answer", "keys": [], "event_time": None}, Contract
    )
    form = EventForm(contract, Guard(contract, ""), 60)
    records = bundles.rows(40)
    rows = model.intake.read(json.dumps({"records": records}).encode())
    body = shop.lines(*spell((0.0, "id-1", model, rows, model.score(rows))))
    items, refused = reading.read(body, form, shop.NOW, lines=True, most=100, longest=10_000)
    assert [one.reasons for one in refused] == []
    assert len(items) == 40
    kept = [msgspec.msgpack.decode(item.body) for item in items]
    assert [one[5] for one in kept] == records
    assert {one[3] for one in kept} == {model.signature.output.name}
    assert {item.release for item in items} == {str(model.release)}
