"""Puts together what a retraining trigger stands on; keeps its cases in a file beside the environment's state."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ci.adapters import floors, people
from ci.adapters.freshness import SourceData
from ci.adapters.freshness import as_of as read_date
from ci.adapters.jenkins import Controller
from ci.adapters.starters import HereStarter, JenkinsStarter
from ci.adapters.watching import FileKeeper
from ci.errors import BadInput, Outcome, Unavailable
from ci.files import held, read_json, sha256_of, write_json
from ci.ledger.event import Kind, moment_of
from ci.params import parse
from ci.params_watching import Cause
from ci.promotion.checks import place_of
from ci.report import Check, Found, Result
from ci.retraining.cases import Attempt, Cases, Incident
from ci.retraining.incidents import Nothing
from ci.retraining.interface import Wanted
from ci.retraining.renewal import drifted, renewal
from ci.retraining.retrain import ENDS, Asked, Trigger, check_of, retrain
from ci.watching.state import Look, Memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from ci.ledger.history import History
    from ci.params_environments import Environment
    from ci.project import Project
    from ci.retraining.interface import Starter
    from ci.shared import Shared


@dataclass(frozen=True)
class FileCases:
    """`<root>/retraining/<environment>/<project>.json`; satisfies `CaseKeeper`."""

    path: Path
    project: str
    environment: str

    @classmethod
    def of(cls, environment: Environment, project: str) -> FileCases:
        """Return the cases that lie beside an environment's state."""
        path = Path(environment.root, "retraining", environment.name, f"{project}.json")
        return cls(path, project, environment.name)

    def read(self) -> Cases:
        """Read them."""
        if not self.path.is_file():
            return Cases(project=self.project, environment=self.environment)
        return parse(Cases, read_json(self.path), str(self.path))

    def write(self, cases: Cases) -> None:
        """Write them beside, flush, rename."""
        write_json(self.path, cases.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `steps.retrain`."""

    env: str | None = None
    as_of: str | None = None
    because: Cause | Literal["data"] | None = None
    reason: str = ""
    request: str | None = None
    windows: Path | None = None
    close: bool = False
    here: bool = False
    wait: bool = True
    dry_run: bool = False


def retrained(project: Project, options: Options, common: Shared, say: Callable[[str], None]) -> Result:
    """
    Start, follow or go on with a retraining, if there is a reason.

    Raises:
        BadInput: an option, a file or what was kept is wrong.
        Unavailable: the source, Jenkins or the ledger does not answer, or another trigger is at work.
    """
    if options.env is None:
        if not common.environments:
            raise BadInput("--env: missing, and params.yaml has no environments")
        options = replace(options, env=common.environments[-1].name)
    target = common.environments[place_of(str(options.env), common.environments)]
    keeper, policy = FileCases.of(target, project.name), common.retraining
    history = _history(project.name, common)
    with held(keeper.path.with_suffix(".lock"), f"retraining of {project.name} in {options.env}"):
        memory = _memory(target, project.name, history, options)
        live, data = history.live(str(options.env)), SourceData(project, history)
        trigger = Trigger(
            memory, keeper, data, _starter(common, say), policy, lambda: datetime.now(UTC),
            live.version if live else None, _born(history),
        )  # fmt: skip
        given, when = _given(options, history), read_date(options.as_of, datetime.now(UTC).date())
        if options.because == "data":
            when = read_date(options.as_of, project.params.as_of)
            found = _of_data(project, options, live.version if live else None, data, when)
            if isinstance(found, Nothing):
                return Result(f"nothing to do: {found.why}", checks=[Check("policy", Found.PASSED, found.why)],
                              data={"started": False})  # fmt: skip
            given = found
        return retrain(project.name, trigger, Asked(when, given, options.close, options.wait, options.dry_run))


def _of_data(project: Project, options: Options, live: str | None, data: SourceData, when: date) -> Incident | Nothing:
    """Ask the project's policy whether the data that is here is a reason; without a live release there is nothing to renew."""
    if live is None:
        return Nothing(f"nothing is live in {options.env}: the delivery pipeline makes first releases")
    path = Path("data", project.name, "check.json")
    check = read_json(path) if path.is_file() else None
    fresh, critical = data.fresh(live, when), project.params.check.drift.critical
    drift = drifted(check, project.contract.target, critical, fresh.former) if isinstance(check, dict) else None
    return renewal(project.params.retrain, str(options.env), live, fresh, drift, datetime.now(UTC))


def run_here(project: Project, options: Options, say: Callable[[str], None]) -> Result:
    """
    Be the job that is started: move as_of, reproduce, judge and package in this checkout; no guard is asked.

    Raises:
        BadInput: no date, or params in which as_of cannot be moved. Unavailable: a step did not get what it needs.
    """
    now = datetime.now(UTC)
    when, why = read_date(options.as_of, now.date()), people.words("--reason", options.reason)
    if options.request and not re.fullmatch(r"[0-9a-f]{64}", options.request):
        raise BadInput("--request: is no request of steps.retrain", hint="leave it out when you start this by hand")
    request = options.request or sha256_of([project.name, str(when), now.isoformat()])
    attempt = Attempt(request=request, at=now, as_of=when)
    ended = HereStarter(say).go_on(Wanted(project.name, request, when, why), attempt, lambda _: None, wait=True)
    outcome = ENDS[ended.status] if ended.status != "failed" else Outcome.BAD_INPUT
    facts = {"as of": str(when), "reason": why, "request": request[:12]}
    return Result(f"{project.name} as of {when}: {ended.told}", outcome, checks=[check_of(ended)], facts=facts)


def _history(project: str, common: Shared) -> History:
    ledger = floors.ledger(common, floors.AT_NIGHT_S)
    try:
        return ledger.history(project)
    except Unavailable:  # what this clone knows is enough to start learning; nothing is released by it
        return ledger.history(project, offline=True)


def _starter(common: Shared, say: Callable[[str], None]) -> Starter:
    jenkins = common.retraining.jenkins
    if jenkins.url is None:
        return HereStarter(say)
    return JenkinsStarter(jenkins, Controller(jenkins), say)


def _born(history: History) -> dict[str, datetime]:
    return {event.version: moment_of(event.when) for event in history.events if event.kind is Kind.REGISTERED}


def _given(options: Options, history: History) -> Incident | None:
    """
    Open an incident by hand.

    Raises:
        BadInput: no reason, or nothing is live that could have one.
    """
    if options.because is None or options.because == "data":
        return None
    why = people.words("--reason", options.reason)
    if not why:
        raise BadInput("--reason: missing: who starts a retraining by hand says why")
    live = history.live(str(options.env))
    if live is None:
        raise BadInput(f"--because: nothing is live in {options.env}")
    return Incident(key=f"{options.env}:v{live.version}:{live.number}", cause=options.because, version=live.version,
                    at=datetime.now(UTC), why=why[:1000])  # fmt: skip


def _memory(environment: Environment, project: str, history: History, options: Options) -> Memory:
    """Return what the watch remembers, with the windows of a file in the place of its looks if one is given."""
    memory = FileKeeper.of(environment, project).read()
    if options.windows is None:
        return memory
    live = history.live(environment.name)
    if live is None:
        raise BadInput(f"--windows: nothing is live in {environment.name}")
    document = read_json(options.windows)
    if not isinstance(document, list) or not document:
        raise BadInput(f"{options.windows}: expected a list of windows")
    looks = [_window(item, place, live.version, live.number, options.windows) for place, item in enumerate(document)]
    return memory.but(looks=sorted(looks, key=lambda look: look.at))


def _window(item: Any, place: int, version: str, stay: int, path: Path) -> Look:
    """Read one window: when it ended, how it was, what a worse one tells of."""
    where = f"{path}: window {place}"
    if not isinstance(item, dict) or item.get("cause") not in get_args(Cause):
        raise BadInput(f"{where}: expected at, answer, message and a cause out of {', '.join(get_args(Cause))}")
    look = parse(Look, {"version": version, "stay": stay, **item}, where)
    if look.at.tzinfo is None:
        raise BadInput(f"{where}: at: without a time zone")
    return look
