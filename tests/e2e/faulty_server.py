"""`python -m serving` with a fault inside: `faulty_server.py SHARE_OF_500s DELAY_S OPTIONS…`."""

from __future__ import annotations

import asyncio
import random
import sys

errors, delay_s = float(sys.argv[1]), float(sys.argv[2])
sys.argv[1:] = sys.argv[3:]

from serving.__main__ import main  # noqa: E402
from serving.scoring import Scoring  # noqa: E402

_predict = Scoring.predict


async def faulty(self, call):
    if delay_s:
        await asyncio.sleep(delay_s)
    if random.random() < errors:
        raise RuntimeError("a fault of the test's")
    return await _predict(self, call)


Scoring.predict = faulty
sys.exit(main())
