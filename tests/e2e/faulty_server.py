"""`python -m serving` with a fault inside: `faulty_server.py SHARE_OF_500s DELAY_S DIES_AFTER_S OPTIONS…`."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

errors, delay_s, dies_s = (float(word) for word in sys.argv[1:4])
sys.argv[1:] = sys.argv[4:]

from serving.__main__ import main  # noqa: E402 # the arguments come off first, here and below
from serving.quick import QuickWay  # noqa: E402
from serving.scoring import Scoring  # noqa: E402
from serving.server import Server  # noqa: E402

_predict, _begin = Scoring.predict, Server.begin


async def faulty(self, call):
    if delay_s:
        await asyncio.sleep(delay_s)
    if random.random() < errors:
        raise RuntimeError("a fault of the test's")
    return await _predict(self, call)


async def mortal(self):
    await _begin(self)
    if dies_s:
        await asyncio.sleep(dies_s)  # after it was ready
        os.kill(os.getpid(), signal.SIGKILL)


QuickWay.take = lambda *_: None  # every request meets the fault
Scoring.predict, Server.begin = faulty, mortal
sys.exit(main())
