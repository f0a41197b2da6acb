from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serving.encoded import Row
from serving.microbatch import MicroBatcher
from serving.signature import Graph


def run(scenario, *, limit=8, row_s=0.0, score=None):
    runs: list[int] = []

    def double(rows):
        return rows.feeds["numbers"][:, 0] * 2

    async def main():
        with ThreadPoolExecutor(1) as executor:
            batcher = MicroBatcher(
                score or double,
                Graph(numbers=("x",)),
                limit=limit,
                row_s=row_s,
                executor=executor,
                on_run=lambda rows, _: runs.append(rows.n_rows),
            )
            await scenario(batcher)

    asyncio.run(main())
    return runs


def row(value: float) -> Row:
    return Row((value,), (), ())


async def many(batcher, count):
    answers = await asyncio.gather(*(batcher.submit(row(number)) for number in range(count)))
    assert answers == [number * 2 for number in range(count)]


@pytest.mark.parametrize("row_s", [0.0, 1.0])
def test_each_gets_its_own_answer_and_no_run_is_too_large(row_s):
    runs = run(lambda batcher: many(batcher, 30), row_s=row_s)
    assert sum(runs) == 30
    assert max(runs) == 8


def test_a_lone_request_is_scored_in_the_next_turn():
    async def scenario(batcher):
        for _ in range(3):
            task = asyncio.ensure_future(batcher.submit(row(1)))
            turns = 0
            while not task.done():
                await asyncio.sleep(0)
                turns += 1
            assert turns <= 3

    assert run(scenario) == [1, 1, 1]


def test_whoever_waits_hears_of_a_failure():
    def fail(_):
        raise RuntimeError("no")

    async def scenario(batcher):
        answers = await asyncio.gather(*(batcher.submit(row(1)) for _ in range(3)), return_exceptions=True)
        assert [str(answer) for answer in answers] == ["no"] * 3

    for row_s in (0.0, 1.0):
        assert run(scenario, score=fail, row_s=row_s) == []


def test_a_slow_graph_leaves_the_loop_free():
    def slow(rows):
        time.sleep(0.05)
        return np.zeros(rows.n_rows, np.float32)

    async def scenario(batcher):
        task = asyncio.ensure_future(batcher.submit(row(1)))
        start = time.perf_counter()
        for _ in range(10):
            await asyncio.sleep(0)
        assert time.perf_counter() - start < 0.04
        await task

    assert run(scenario, row_s=1.0, score=slow) == [1]
