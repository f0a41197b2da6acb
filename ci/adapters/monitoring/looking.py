"""The one place where a verification's doors are made: sources, clock, acceptance, evidence on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters.http import ask
from ci.adapters.monitoring.acceptance import Acceptor
from ci.adapters.monitoring.evaluated import Bundled
from ci.adapters.monitoring.exposition import Envoy, Pages
from ci.adapters.monitoring.jsonapi import JsonProvider
from ci.adapters.monitoring.labels import CollectedLabels
from ci.adapters.monitoring.prometheus import Prometheus
from ci.adapters.pairs import ServerPairs
from ci.errors import StepError
from ci.files import read_json, sha256, write_json
from ci.params_verification import Http, Verification
from ci.project import find
from ci.verification.disagreement import PairsProvider
from ci.verification.evidence import replay
from ci.verification.plan import rules_of
from ci.verification.reference import recorded
from ci.verification.verify import Looking, Verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ci.rollout.interface import Question
    from ci.verification.interface import Provider
    from ci.verification.reference import Reference

    Send = Callable[..., tuple[int, dict[str, str], bytes]]

EVIDENCE = Path(".slipway", "evidence")
_MOST_FILES = 200  # of former verdicts that are looked through for a predecessor's


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def verifier(
    policy: Verification,
    say: Callable[[str], None],
    bundles: Sequence[Path] = (),
    keep_in: Path = EVIDENCE,
    send: Send = ask,
) -> Verify:
    """Make a verifier that asks whom the policy names."""
    accept = Acceptor(policy.acceptance, bundles)
    rules = rules_of(policy)
    looking = Looking(
        lambda question: providers(policy, question, bundles, send),
        SystemClock(),
        say,
        accept,
        lambda document: kept(document, keep_in),
        lambda question: references(question, policy, bundles, keep_in),
        lambda question: CollectedLabels(
            policy.collector, horizon_days(question.project),
            lambda arm: Bundled(bundles, rules["quality"].tolerance, rules["quality"].measure).answering(arm.release),
        ),
    )  # fmt: skip
    return Verify(policy, looking)


def providers(
    policy: Verification, question: Question, bundles: Sequence[Path] = (), send: Send = ask
) -> dict[str, Provider]:
    """Make every source that can be asked; `send` is what reaches servers."""
    found: dict[str, Provider] = {"servers": Pages(_quick(policy))}
    if question.admin:
        found["envoy"] = Envoy(_quick(policy), question.admin)
    if policy.prometheus.url:
        found["prometheus"] = Prometheus(policy.prometheus, policy.prometheus.url)
    if policy.json_api.url:
        found["json"] = JsonProvider(policy.json_api, policy.json_api.url)
    rule = rules_of(policy).get("disagreement")
    if question.shadow and rule:
        answering = Bundled(bundles, rule.tolerance).judging(question.candidate.release)
        found["pairs"] = PairsProvider(ServerPairs(question, send), answering)
    return found


def references(question: Question, policy: Verification, bundles: Sequence[Path], folder: Path) -> dict[str, Reference]:
    """Find what a lone release is held against beside its limits: a record of its predecessor, its own evaluation."""
    found = recorded(question, stored(folder, question)) if policy.alone == "predecessor" else {}
    rule = rules_of(policy).get("quality")
    own = Bundled(bundles, rule.tolerance, rule.measure).reference(question.candidate.release) if rule else None
    return ({"quality": own} if own else {}) | found


def horizon_days(project: str) -> float:
    """Return the days after which the labels of a project are complete."""
    return float(find(project).contract.label_horizon_days)


def stored(folder: Path, question: Question) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the evidence of one place, the newest first, with its name; what does not replay is none."""
    paths = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in paths[:_MOST_FILES]:
        try:
            document = read_json(path)
            asked = document.get("question", {}) if isinstance(document, dict) else {}
            if (asked.get("project"), asked.get("environment")) != (question.project, question.environment):
                continue
            replay(document, str(path))
        except StepError:
            continue
        yield path.name, document


def _quick(policy: Verification) -> Http:
    """Pages are asked each window: one that does not answer at once is left out of it."""
    return Http(timeout_s=min(2.0, policy.window_s), tries=1)


def kept(document: dict[str, Any], folder: Path) -> Mapping[str, str]:
    """Write evidence under its own digest, so that nobody replaces it; return the path and the digest."""
    beside = folder / "new.json"
    write_json(beside, document)
    digest = sha256(beside)
    path = folder / f"{digest[:16]}.json"
    beside.replace(path)
    return {path.as_posix(): digest}
