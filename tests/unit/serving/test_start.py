from __future__ import annotations

import asyncio
import signal
import sys
import threading

import pytest

from serving import stack, start
from serving.repository import Repository
from serving.settings import Settings


def test_the_first_look_takes_what_was_begun_and_the_next_looks_anew(folder):
    async def looks(repository):
        return [await repository.look("start"), await repository.look("again")]

    repository = Repository(Settings(model=str(folder), release_version="1.4.0"), None)
    opened, open_ = [], repository._open
    repository._open = lambda version: opened.append(threading.current_thread().name) or open_(version)
    try:
        repository.begin()
        first, second = asyncio.run(looks(repository))
    finally:
        repository.close()
    assert (first.outcome, second.outcome) == ("swapped", "unchanged")
    assert [name.split("_")[0] for name in opened] == ["loader"] * 2
    assert str(repository.live.model.release) == "flights@1.4.0"


def test_what_was_begun_and_failed_is_told_by_the_first_look(tmp_path):
    repository = Repository(Settings(model=str(tmp_path / "none")), None)
    try:
        repository.begin()
        assert asyncio.run(repository.look("start")).reason == "unreachable"
    finally:
        repository.close()


def test_who_is_told_to_stop_before_he_serves_ends_with_0():
    with pytest.raises(SystemExit) as ended:
        start._stop(signal.SIGTERM, None)
    assert ended.value.code == 0


def test_a_stack_that_was_imported_whole_stays_as_it_is():
    import uvicorn

    stack.without_command_line()
    import uvicorn.lifespan.off

    assert sys.modules["uvicorn"] is uvicorn
    assert callable(uvicorn.run)
