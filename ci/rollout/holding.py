"""Taking an environment from whoever is at work in it, without taking it by force."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ci.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.rollout.targets import StateStore

POLL_S = 0.1
STOP_WAIT_S = 90.0


class AskedToStop(Exception):  # noqa: N818  # reads as the event that it is
    """Somebody wants the rollout undone."""


def heed(store: StateStore) -> None:
    """
    Look whether somebody asked this rollout to end.

    Raises:
        AskedToStop: somebody did.
    """
    if asked := store.asked_to_stop():
        raise AskedToStop(asked)


@contextmanager
def interrupting(store: StateStore, who: str) -> Iterator[None]:
    """
    Hold the environment; if a rollout is under way, ask it to stop and wait for it.

    Raises:
        Unavailable: it does not stop.
    """
    deadline = time.monotonic() + STOP_WAIT_S
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(store.hold(who))
                break
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                store.ask_to_stop(who)
                time.sleep(POLL_S)
        yield
