"""A former release that is kept warm leaves the files to the live one: who got nothing writes nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from collector import server
from collector.telemetry import Telemetry


def test_only_what_came_here_is_compacted(monkeypatch: Any) -> None:
    done: list[str] = []

    async def settled(_state: Any, project: Any) -> None:
        done.append(project.contract.project)

    monkeypatch.setattr(server, "_compact_settled", settled)
    telemetry = Telemetry("1.0.0")
    projects = {name: SimpleNamespace(contract=SimpleNamespace(project=name)) for name in ("shop", "inn")}
    state: Any = SimpleNamespace(settings=SimpleNamespace(compact_every_s=0.01), projects=projects, telemetry=telemetry)

    async def story() -> None:
        task = asyncio.create_task(server._compact(state))
        await asyncio.sleep(0.1)
        assert done == []
        telemetry.last["shop", "records"] = 1.0
        await asyncio.sleep(0.1)
        assert done == ["shop"], "once, and not again while nothing comes"
        telemetry.last["shop", "outcomes"] = 2.0
        await asyncio.sleep(0.1)
        assert done == ["shop", "shop"]
        task.cancel()

    asyncio.run(story())
