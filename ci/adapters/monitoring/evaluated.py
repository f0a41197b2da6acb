"""What a release's own bundle says of its quality: how its answers are judged, and what they cost offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.files import read_json, sha256
from ci.verification.labels import Answering
from ci.verification.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ci.params_verification import Measure
    from ci.releases.record import Release

UNKNOWN = "unknown"


class Bundled:
    """Looks among bundle folders, or folders that hold bundles by digest."""

    def __init__(self, shelves: Sequence[Path], tolerance: float | None = None, measure: Measure = "wrong") -> None:
        """Take where to look, the policy's tolerance for a regression, and what it measures."""
        self._shelves, self._tolerance, self._measure = shelves, tolerance, measure

    def answering(self, release: Release) -> Answering:
        """
        Say how the release's answers are told right from wrong by labels.

        Raises:
            BadInput: its bundle is not here, a regression without a tolerance, or a measure that does not fit the task.
        """
        found = self.judging(release)
        if found.task == UNKNOWN:
            raise BadInput(f"{release.name}: its bundle is not here, and nobody else knows how its answers are judged",
                           hint="deploy it from here, or put the bundle below artifacts/")  # fmt: skip
        if found.measure == "brier" and found.task not in {"binary", "multiclass"}:
            raise BadInput(f"{release.name}: a {found.task} answers no probabilities, and has no Brier score",
                           hint="set `measure: wrong` of the metric quality")  # fmt: skip
        if found.measure == "wrong" and found.task == "regression" and found.tolerance is None:
            raise BadInput(f"{release.name}: from which error on is an answer wrong?",
                           hint="set `tolerance` of the metric quality, in the unit of the target")  # fmt: skip
        return found

    def judging(self, release: Release) -> Answering:
        """Say how the release's answers are read; of a bundle that is not here only a tolerance may be known."""
        folder = self._folder(release)
        if folder is None:
            return Answering(UNKNOWN, tolerance=self._tolerance, measure=self._measure)
        signature, wrong = read_json(folder / "signature.json"), self._wrong(folder)
        classes = tuple(map(str, signature["output"].get("classes") or ()))
        tolerance = self._tolerance or wrong.get("tolerance")
        return Answering(str(signature["task"]), float(wrong.get("threshold", 0.5)), classes, tolerance, self._measure)

    def reference(self, release: Release) -> Reference | None:
        """Return the upper end of what its answers cost in its evaluation; None where that is not known."""
        folder = self._folder(release)
        if self._measure == "brier":
            return _brier(folder) if folder else None
        wrong = self._wrong(folder) if folder else {}
        if "high" not in wrong or (self._tolerance and self._tolerance != wrong.get("tolerance")):
            return None
        share = min(max(float(wrong["high"]), 0.0), 1.0)
        of = f"its own evaluation ({wrong['value']:.1%} wrong, at most {share:.1%})"
        return Reference(of=of, share=share)

    def _wrong(self, folder: Path) -> dict[str, Any]:
        """Read `wrong` of an evaluation; one that is older than that says it by its accuracy at one half."""
        document = read_json(folder / "evaluation.json")
        if found := document.get("wrong"):
            return dict(found)
        right = document.get("metrics", {}).get("accuracy")
        if not right:
            return {}
        return {"value": 1 - right["value"], "low": 1 - right["high"], "high": 1 - right["low"]}

    def _folder(self, release: Release) -> Path | None:
        for folder in (place for shelf in self._shelves for place in (shelf, shelf / release.bundle)):
            manifest = folder / "manifest.json"
            if manifest.is_file() and sha256(manifest) == release.bundle:
                return folder
        return None


def _brier(folder: Path) -> Reference | None:
    """Read the Brier score of an evaluation; of several classes it is a sum, 0 to 2, and half of it is meant here."""
    document = read_json(folder / "evaluation.json")
    found = document.get("metrics", {}).get("brier")
    if not found:
        return None
    part = 2 if document.get("task") == "multiclass" else 1
    value, high = found["value"] / part, min(max(float(found["high"]) / part, 0.0), 1.0)
    return Reference(of=f"its own evaluation (Brier score {value:.4f}, at most {high:.4f})", share=high)
