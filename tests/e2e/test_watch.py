"""A release that falls ill after its promotion: the watch takes it back, behind a real Envoy, while callers keep asking."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from ci.adapters import environments
from ci.adapters.queue import FolderQueue
from ci.adapters.watching import FileKeeper
from ci.errors import Outcome
from ci.ledger.interface import By
from ci.params_watching import Watching
from ci.promotion.records import Records
from ci.rollout.interface import Answer, Verdict
from ci.watching.watch import Post, watch
from tests.e2e.test_rollouts import place  # noqa: F401  # a fixture
from tests.releases import MemoryLedger

pytestmark = pytest.mark.slow


class FallsIll:
    """Asks the servers, as the health verification does; once `ill`, it says what monitoring would."""

    def __init__(self):
        self.ill = Event()
        self._asks = environments.health()

    def verify(self, question):
        seen = self._asks.verify(question)
        return Verdict(Answer.WORSE, "scores moved: PSI .4", seen.checks) if self.ill.is_set() else seen


def test_given_a_live_release_when_it_falls_ill_then_the_former_one_is_back_and_it_is_bad(place):  # noqa: F811
    ledger, verifier = MemoryLedger(), FallsIll()
    for version in ("1.0.0", "1.1.0"):
        ledger.register(place.release(version), By("ci"))
        assert place.deploy(version).outcome is Outcome.PASSED
        ledger.live(version, "staging")

    def look():
        records = Records(ledger, FolderQueue(Path(place.folder, "ledger")), ledger.clock)
        keeper = FileKeeper.of(place.environment, "flights")
        with keeper.alone():
            return watch("flights", Post("staging", place.open(), verifier, records, keeper, Watching()), By("watch"))

    assert look().outcome is Outcome.PASSED
    verifier.ill.set()
    done, answers = Event(), []

    def ask():
        while not done.is_set():
            answers.append(place.answer())

    with ThreadPoolExecutor(1) as caller:
        asking = caller.submit(ask)
        try:
            assert look().outcome is Outcome.INCONCLUSIVE
            told = look()
        finally:
            done.set()
        asking.result()
    assert (told.outcome, place.answer()) == (Outcome.ROLLED_BACK, (200, "flights@1.0.0"))
    assert {status for status, _ in answers} == {200}
    assert ledger.history("flights").bad("1.1.0")
    assert [look().outcome for _ in range(3)] == [Outcome.INCONCLUSIVE, Outcome.REJECTED, Outcome.REJECTED]
    assert place.answer() == (200, "flights@1.0.0")
