"""A server that has no model yet says so in a way that a router acts upon; one that has too much to do does not."""

from __future__ import annotations

import asyncio

from tests.unit.serving import bundles
from tests.unit.serving.conftest import Service


def test_without_a_model_another_server_is_to_be_asked(folder):
    async def scenario():
        service = Service("--model", str(folder))
        try:
            answer = await service.predict(bundles.ROW)
            assert (answer.status, answer.headers["x-slipway-elsewhere"], answer.headers["retry-after"]) == (
                503,
                "1",
                "1",
            )
        finally:
            service.state.close()

    asyncio.run(scenario())


def test_overload_is_no_reason_to_burden_others(serve):
    async def scenario(service):
        service.state.scoring.active = 1
        answer = await service.predict(bundles.ROW)
        assert (answer.status, "x-slipway-elsewhere" in answer.headers) == (503, False)

    serve(scenario, "--max-concurrency", "1")
