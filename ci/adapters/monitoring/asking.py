"""What `steps.verify` is asked: a question about what runs in an environment, or about what the options name."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.monitoring.looking import verifier
from ci.errors import BadInput
from ci.files import read_json, sha256_of
from ci.params import SERVICES
from ci.params_verification import Verification
from ci.releases.record import Packaged, Release
from ci.report import finite
from ci.rollout.interface import Arm, Question, Verdict
from ci.verification.telling import drawn, told
from ci.verification.verify import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.report import Check, Result

_ARM = re.compile(r"(\d+\.\d+\.\d+)@(?:sha256:)?([0-9a-f]{64})=([^=\s]+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `steps.verify`."""

    project: str
    environment: str | None
    door: str | None
    candidate: str | None
    baseline: str | None
    admin: str
    weight: float
    deadline_s: float | None
    record: bool = False
    actor: str | None = None


def looked(asked: Asked, say: Callable[[str], None], picture: Path) -> Result:
    """
    Look, and tell.

    Raises:
        BadInput: the options name nothing that could be looked at.
        Unavailable: a source does not answer.
    """
    policy, question = _policy(asked), _question(asked)
    record = _recorder(asked, question) if asked.record else lambda _: ()
    if asked.project in SERVICES:
        return _service(asked, question, record)
    verify = verifier(policy, say, _bundles(asked))
    verdict = verify.verify(question)
    verdict = replace(verdict, checks=(*verdict.checks, *record(verdict)))
    judge = verify.looking.judge
    result = told(verdict, drawn(judge, picture) if judge else [], next((Path(p) for p in verdict.evidence), None))
    release = question.candidate.release.name
    return result.because(facts={"release": release, "in": question.environment, **result.facts})


def _service(asked: Asked, question: Question, record: Callable[[Verdict], Sequence[Check]]) -> Result:
    """Ask a service of Slipway's own whether it is well: it has no answers that statistics could compare."""
    from ci.adapters import environments
    from ci.adapters.wanted import environment
    from ci.params_environments import Environment
    from ci.shared import shared

    common = shared()
    place = environment(asked.environment, common) if asked.environment else Environment(name="elsewhere")
    verdict = environments.verifier(asked.project, place, common).verify(question)
    seen = {"checks": sha256_of(finite([asdict(check) for check in verdict.checks]))}  # as rollouts keep them
    verdict = replace(verdict, evidence=seen)
    verdict = replace(verdict, checks=(*verdict.checks, *record(verdict)))
    return told(replace(verdict, evidence={}), []).because(
        facts={"release": question.candidate.release.name, "in": question.environment}
    )


def _recorder(asked: Asked, question: Question) -> Callable[[Verdict], Sequence[Check]]:
    """Make what tells the ledger; whatever speaks against it is said before anybody looks."""
    from ci.adapters import floors, people
    from ci.promotion import words
    from ci.shared import shared

    if asked.candidate or not asked.environment:
        raise BadInput("--record: only what runs in an --env is recorded")
    if question.baseline:
        raise BadInput("--record: a rollout is under way, and how it ends is recorded then")
    ledger, by = floors.ledger(shared()), people.by(asked.actor, "looked at by steps.verify")
    seen = words.remembered(question, ledger)
    return lambda verdict: (words.record(question, verdict, ledger, by, seen),)


def _bundles(asked: Asked) -> list[Path]:
    from ci.adapters.wanted import environment
    from ci.shared import shared

    shelf = [Path(environment(asked.environment, shared()).root, "bundles")] if asked.environment else []
    return [Path("artifacts", asked.project), *shelf]


def replayed(path: Path, record: bool, picture: Path) -> Result:
    """
    Judge stored evidence again.

    Raises:
        BadInput: it is no evidence, or does not give the verdict that it tells; or it shall be recorded.
    """
    if record:
        raise BadInput("--record: a replay is no new look, and is not recorded")
    judged, judge = replay(read_json(path), str(path))
    return told(
        Verdict(judged.answer, judged.message, tuple(judged.checks)), drawn(judge, picture) if judge else [], path
    )


def _policy(asked: Asked) -> Verification:
    from ci.adapters.wanted import environment
    from ci.shared import shared

    found = environment(asked.environment, shared()).verification if asked.environment else Verification()
    if asked.deadline_s is None:
        return found
    if not 0 < asked.deadline_s <= 604_800:
        raise BadInput(f"--deadline-s: {asked.deadline_s:g} is not between 0 and 604,800")
    return found.model_copy(update={"deadline_s": asked.deadline_s})


def _question(asked: Asked) -> Question:
    if asked.candidate:
        return _of_options(asked)
    if not asked.environment:
        raise BadInput("--env: missing", hint="or name what to look at with --door and --candidate")
    from ci.adapters import environments
    from ci.shared import shared

    found = environments.named(asked.project, asked.environment, shared()).question()
    if found is None:
        raise BadInput(f"{asked.project}: nothing runs in {asked.environment}")
    return found


def _of_options(asked: Asked) -> Question:
    candidate = _arm(asked.project, "--candidate", asked.candidate or "")
    baseline = _arm(asked.project, "--baseline", asked.baseline) if asked.baseline else None
    since = datetime.now(UTC).isoformat()
    weight = asked.weight if baseline else 100.0
    name = asked.environment or "elsewhere"
    return Question(
        asked.project, name, candidate, baseline, weight, since, asked.admin, (asked.door or "").rstrip("/")
    )


def _arm(project: str, option: str, text: str) -> Arm:
    found = _ARM.fullmatch(text)
    if not found:
        raise BadInput(f"{option}: {text[:80]!r} is not VERSION@BUNDLE=ADDRESS[,ADDRESS]")
    nobody = Packaged(repository="unknown", digest="sha256:" + "0" * 64, size=0)
    release = Release(
        project=project, version=found[1], bundle=found[2], data_version="unknown", recipe="0" * 64,
        packagings={"data": nobody}, key="unknown",
    )  # fmt: skip
    cluster = f"{project}-v{found[1].replace('.', '-')}"
    return Arm(release, cluster, tuple(found[3].split(",")))
