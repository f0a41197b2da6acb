from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.metrics import Histogram, Page, labels
from tests.unit.serving import bundles

parser = pytest.importorskip("prometheus_client.parser", reason="prometheus-client reads the page back")


def samples(page: str) -> dict[str, float]:
    found = {}
    for family in parser.text_string_to_metric_families(page):
        for sample in family.samples:
            own = {k: v for k, v in sample.labels.items() if k not in {"model", "version", "bundle"}}
            found[sample.name + "".join(f" {k}={v}" for k, v in sorted(own.items()))] = sample.value
    return found


@pytest.fixture
def page(serve):
    records = bundles.rows(40, seed=8)

    async def scenario(service):
        for record in records[:20]:
            await service.predict(record)
        await service.predict({"records": records[20:]})
        await service.predict(b"{")
        return (await service.ask("GET", "/metrics")).body.decode()

    return records, serve(scenario)


def test_everything_is_counted(page):
    records, text = page
    found = samples(text)
    assert found["slipway_requests_total outcome=ok route=predict"] == 21
    assert found["slipway_requests_total outcome=refused route=predict"] == 1
    assert found["slipway_batch_rows_sum"] == 40
    assert found["slipway_batch_rows_bucket le=1"] == 20
    assert found["slipway_score_count"] == 40
    scores = bundles.predict(bundles.graph(), records)
    assert found["slipway_score_bucket le=0.3"] == (scores <= 0.3).sum()
    temps = [record["temp"] for record in records]
    assert found["slipway_feature_missing_total feature=temp"] == temps.count(None)
    assert found["slipway_feature_value_bucket feature=temp le=40"] == sum(
        1 for t in temps if t is not None and t <= 40
    )
    carriers = [record["carrier"] for record in records]
    assert found["slipway_feature_missing_total feature=carrier"] == carriers.count(None)
    assert found["slipway_feature_unknown_total feature=carrier"] == carriers.count("??")
    assert found["slipway_request_seconds_bucket le=0.05 route=predict"] >= 21
    assert found["slipway_ready"] == 1


def test_every_sample_of_a_release_says_which(page):
    _, text = page
    ours = [
        line for line in text.splitlines() if line.startswith(("slipway_requests", "slipway_score", "slipway_feature"))
    ]
    assert ours
    assert all('model="flights",version="1.4.0",bundle="sha256:' in line for line in ours)


@given(st.lists(st.floats(-1e6, 1e6, width=32)), st.lists(st.floats(-1e3, 1e3), min_size=1))
def test_one_by_one_and_all_at_once_are_the_same(values, bounds):
    single, many = Histogram(bounds), Histogram(bounds)
    for value in values:
        single.add(value)
    many.add_many(np.array(values, dtype=np.float32))
    assert single.counts == many.counts
    assert single.sum == pytest.approx(many.sum)


def test_labels_are_escaped():
    page = Page()
    page.family("x", "gauge", "An x.")
    page.sample("x", labels(name='a"b\\c\nd'), 1)
    (family,) = parser.text_string_to_metric_families(page.render().decode())
    assert family.samples[0].labels == {"name": 'a"b\\c\nd'}
