"""What promotion and rollback rely on of whatever runs releases; each `Running`, real or in memory, passes these."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ci.errors import Outcome
from ci.params_environments import Strategy
from tests.releases import release

STRATEGY = Strategy(kind="blue_green")


class RunningContract(ABC):
    """Subclass it, and make a place in which nothing runs and a verifier that finds all well."""

    @abstractmethod
    def place(self, tmp_path):
        """Return `(running, verifier)`."""

    def record(self, version):
        """Return a release that this place can run."""
        return release(version)

    def test_at_first_nothing_runs(self, tmp_path):
        running, _ = self.place(tmp_path)
        actual = running.actual()
        assert (actual.live, actual.held_by, list(actual.drift)) == (None, None, [])

    def test_what_was_rolled_out_is_live_and_named_by_its_version(self, tmp_path):
        running, verifier = self.place(tmp_path)
        moved = running.roll_out(self.record("1.0.0"), STRATEGY, verifier, "ann")
        assert (moved.outcome, moved.live, moved.former) == (Outcome.PASSED, "1.0.0", None)
        assert running.actual().live == "1.0.0"
        assert running.actual().weights == {"1.0.0": 100.0}
        assert running.actual().held_by is None

    def test_the_next_one_takes_its_place_and_says_whose(self, tmp_path):
        running, verifier = self.place(tmp_path)
        running.roll_out(self.record("1.0.0"), STRATEGY, verifier, "ann")
        moved = running.roll_out(self.record("1.1.0"), STRATEGY, verifier, "ann")
        assert (moved.outcome, moved.live, moved.former) == (Outcome.PASSED, "1.1.0", "1.0.0")
        assert moved.evidence or moved.checks, "nobody may call it verified without either"

    def test_back_is_all_the_way_back(self, tmp_path):
        running, verifier = self.place(tmp_path)
        for version in ("1.0.0", "1.1.0"):
            running.roll_out(self.record(version), STRATEGY, verifier, "ann")
        moved = running.roll_back(self.record("1.0.0"), "eve")
        assert (moved.outcome, moved.live, moved.former) == (Outcome.PASSED, "1.0.0", "1.1.0")
        assert running.actual().weights == {"1.0.0": 100.0}
