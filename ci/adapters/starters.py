"""Who learns anew: a Jenkins job, or this checkout."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.jenkins import Cancelled, Controller
from ci.adapters.process import follow
from ci.collecting import edits
from ci.errors import Outcome, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.params_retraining import Jenkins
    from ci.retraining.cases import Attempt, Status
    from ci.retraining.interface import Wanted

_RESULTS: dict[str, Status] = {"SUCCESS": "passed", "UNSTABLE": "rejected"}


@dataclass(frozen=True)
class JenkinsStarter:
    """Satisfies `ci.retraining.interface.Starter`."""

    settings: Jenkins
    controller: Controller
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    @property
    def place(self) -> str:
        """Which job."""
        return self.controller.place

    def go_on(self, wanted: Wanted, attempt: Attempt, keep: Callable[[Attempt], None], *, wait: bool) -> Attempt:
        """Ask unless it was asked; wait in the queue; follow the build."""
        if attempt.queue is None and attempt.build is None:
            attempt = self._asked(wanted, attempt)
            keep(attempt)
        until = self.monotonic() + self.settings.follow_s
        while True:
            attempt = self._looked(wanted, attempt, keep)
            if attempt.ended or not wait:
                return attempt
            if self.monotonic() > until:
                told = f"not ended after {self.settings.follow_s:g} s: {attempt.told}"
                return attempt.model_copy(update={"told": told[:1000]})
            self.sleep(self.settings.poll_s)

    def _asked(self, wanted: Wanted, attempt: Attempt) -> Attempt:
        """Ask, unless a run that died had asked already: nobody but Jenkins knows."""
        parameters = {
            **wanted.parameters, "PROJECT": wanted.project, "AS_OF": str(wanted.as_of), "REQUEST": wanted.request,
            "REASON": wanted.reason[:400],
        }  # fmt: skip
        found = self.controller.find("REQUEST", wanted.request)
        item, number = found or self.controller.start(parameters, "REQUEST")
        self.say(f"  asked {self.place}: queue item {item}")
        return attempt.model_copy(update={"queue": item, "build": number, "told": f"asked {self.place}"})

    def _looked(self, wanted: Wanted, attempt: Attempt, keep: Callable[[Attempt], None]) -> Attempt:
        if attempt.build is None:
            attempt = self._in_queue(wanted, attempt)
            if attempt.build is None:
                return attempt
            keep(attempt)
        result = self.controller.built(_number(attempt.build))
        where = self.controller.url_of(_number(attempt.build))
        if result is None:
            return attempt.model_copy(update={"status": "running", "told": f"running: {where}"})
        return attempt.model_copy(update={"status": _RESULTS.get(result, "failed"), "told": f"{result}: {where}"})

    def _in_queue(self, wanted: Wanted, attempt: Attempt) -> Attempt:
        try:
            number, told = self.controller.waiting(str(attempt.queue))
        except Cancelled as error:
            return attempt.model_copy(update={"status": "failed", "told": str(error)[:1000]})
        if number is None and told.startswith("not shown"):  # gone from the queue's memory, perhaps a build by now
            found = self.controller.find("REQUEST", wanted.request)
            number = found[1] if found else None
        if told != attempt.told:
            self.say(f"  queue item {attempt.queue}: {told}")
        return attempt.model_copy(update={"build": number, "told": told[:1000]})


def _number(build: str) -> str:
    return build.rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class HereStarter:
    """This checkout, as processes: reproduce, gate, package; satisfies `ci.retraining.interface.Starter`."""

    say: Callable[[str], None]
    silence_s: float = 3600
    root: Path = Path()

    @property
    def place(self) -> str:
        """Which checkout."""
        return "this checkout"

    def go_on(self, wanted: Wanted, attempt: Attempt, keep: Callable[[Attempt], None], *, wait: bool) -> Attempt:  # noqa: ARG002 # it is done when it is done
        """Move as_of, then run the steps; what is not accepted leaves as_of as it was."""
        params = self.root / "projects" / wanted.project / "params.yaml"
        text = edits.read(params)
        former = attempt.former or edits.as_of_in(text, str(params))  # a run that died had moved it already
        running = attempt.model_copy(update={"status": "running", "told": "running in this checkout", "former": former})
        keep(running)
        edits.write(params, edits.moved(text, wanted.as_of, str(params)))
        ended = running
        try:
            ended = self._steps(wanted, running)
        finally:
            if ended.status != "passed":
                edits.write(params, edits.moved(text, former, str(params)))
        return ended

    def _steps(self, wanted: Wanted, attempt: Attempt) -> Attempt:
        for step in ("repro", "gate", "package"):
            command = [sys.executable, "-m", f"steps.{step}", "--project", wanted.project]
            self.say(f"  {step} …")
            code = follow(command, lambda line: self.say(f"    {line}"), silence_s=self.silence_s)
            if code:
                outcome = Outcome.of_exit_code(code)
                if outcome is Outcome.UNAVAILABLE:
                    raise Unavailable(f"steps.{step}: did not get what it needs")
                status = {Outcome.REJECTED: "rejected", Outcome.INCONCLUSIVE: "inconclusive"}.get(outcome, "failed")
                return attempt.model_copy(
                    update={"status": status, "told": f"steps.{step} ended with {code}: {outcome}"}
                )
        return attempt.model_copy(update={"status": "passed", "told": "reproduced, accepted and packaged"})
