"""What is asked of a candidate before any statistics: is it ready, is it the one, does it answer as it was sealed."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from ci.adapters.http import ask
from ci.errors import Unavailable
from ci.files import read_json, sha256
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ci.params_verification import Acceptance
    from ci.rollout.interface import Arm, Question

_FAILURES = 2  # of one row, before it counts as a row that cannot be answered


class Acceptor:
    """Asks servers directly for health and metadata, and golden rows through the front door."""

    def __init__(self, policy: Acceptance, bundles: Sequence[Path]) -> None:
        """Take bundle folders, or folders that hold bundles by digest, among which the candidate's may be."""
        self._policy, self._bundles = policy, bundles

    def __call__(self, question: Question) -> list[Check]:
        """
        Return one check per question.

        Raises:
            Unavailable: the front door does not answer.
        """
        checks = [self._server(question, address) for address in question.candidate.addresses]
        if question.door:
            checks.append(self._golden(question))
        return checks

    def _server(self, question: Question, address: str) -> Check:
        name, release = f"server {address}", question.candidate.release
        base = address if "://" in address else f"http://{address}"
        try:
            status, _, _ = ask(f"{base}/v2/health/ready", timeout_s=self._policy.timeout_s)
            found, _, raw = ask(f"{base}/v2/models/{release.project}", timeout_s=self._policy.timeout_s)
        except Unavailable as error:
            return Check(name, Found.REJECTED, str(error))
        if status != 200 or found != 200:
            return Check(name, Found.REJECTED, f"not ready (status {status}, model {found})")
        try:
            about = json.loads(raw)
            has, bundle = about["versions"], about["parameters"]["bundle"]
        except (ValueError, KeyError, TypeError):
            return Check(name, Found.REJECTED, "does not describe its model")
        if release.version not in has or bundle != f"sha256:{release.bundle}":
            return Check(
                name, Found.REJECTED, f"serves {', '.join(map(str, has))} ({bundle[:19]}), not {release.version}"
            )
        return Check(name, Found.PASSED, f"ready, serves {release.version}")

    def _golden(self, question: Question) -> Check:
        golden = self._rows(question.candidate)
        if golden is None:
            return Check("golden rows", Found.WARNED, "the candidate's bundle is not here: no golden rows were sent")
        rows = list(zip(golden["rows"], golden["outputs"], strict=True))[: self._policy.golden_rows]
        for place, (row, expected) in enumerate(rows, 1):
            problem = self._asked(question, row, expected)
            if problem:
                return Check("golden rows", Found.REJECTED, f"row {place}: {problem}", n=place)
        return Check(
            "golden rows", Found.PASSED, f"{len(rows)} answered as sealed, through the front door", n=len(rows)
        )

    def _rows(self, arm: Arm) -> Any:
        for folder in (place for shelf in self._bundles for place in (shelf, shelf / arm.release.bundle)):
            manifest = folder / "manifest.json"
            if manifest.is_file() and sha256(manifest) == arm.release.bundle:
                return read_json(folder / "golden.json")
        return None

    def _asked(self, question: Question, row: Any, expected: Any) -> str:
        """Ask for the candidate by header; without a router that heeds it, until it happens to answer."""
        version, said, failed = question.candidate.release.version, "nobody", 0
        headers = {"x-slipway-release": version, "x-slipway-synthetic": "1"}
        for _ in range(self._policy.tries):
            status, found, raw = ask(
                f"{question.door}/predict", body=row, headers=headers, timeout_s=self._policy.timeout_s
            )
            said = found.get("x-slipway-release", "nobody")
            if f"@{version};" not in said:
                continue
            if status >= 500 and failed < _FAILURES:  # how often it may fail is for the statistics to say
                failed += 1
                continue
            if status != 200:
                return f"status {status}" + (f", {failed + 1} times" if failed else "")
            try:
                answer = json.loads(raw)["predictions"][0]
            except (ValueError, KeyError, IndexError, TypeError):
                return "the answer holds no prediction"
            return "" if _near(answer, expected, self._policy.tolerance) else f"answered {answer}, sealed {expected}"
        return f"version {version} never answered; {said} did"


def _near(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(_near(a, b, tolerance) for a, b in zip(found, expected, strict=True))
        )
    number = isinstance(found, int | float) and math.isfinite(found)
    return number and abs(found - expected) <= tolerance * max(1.0, abs(expected))
