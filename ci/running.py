"""
One run of one step, from its first moment to its exit code: turn, signals, progress, report.

Whatever happens, it ends with one line for people, a report for programs, and the exit code that belongs to it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import sys
import traceback
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ci.errors import BadInput, Interrupted, Outcome, StepError
from ci.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from ci.project import Project
    from ci.report import Result, StepReport

_BUILD = ("BUILD_URL", "JOB_NAME", "BUILD_NUMBER", "BRANCH_NAME", "CHANGE_ID")
_LOCKS = Path(".slipway", "locks")


@dataclass
class Run:
    """One run of one step; `aside` names the question it only answers: that has a report of its own."""

    step: str
    project_name: str | None = None
    verbose: bool = False
    as_json: bool = False
    alone: bool = False
    aside: str = ""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    progress: Progress = field(default_factory=Progress)

    @functools.cached_property
    def project(self) -> Project:
        """The project that `--project` names."""
        from ci.project import find

        if self.project_name is None:
            raise BadInput("--project: missing")
        return find(self.project_name)

    def say(self, text: str) -> None:
        """Tell people something, on stderr."""
        self.progress.line(text)

    def tell(self, text: str) -> None:
        """Give a program its answer, on stdout; unless it asked for the whole report, which has it, too."""
        if not self.as_json:
            _print(text)

    def where(self, suffix: str = ".json") -> Path:
        """Return the path of this step's report."""
        name = f"{self.step}_{self.aside}" if self.aside else self.step
        return Path("reports", self.project_name or "all", name + suffix)


def carry_out(run: Run, work: Callable[[], Result]) -> int:
    """Do the work and report how it ended, whatever happens; return the exit code."""
    _enter_root()
    try:
        with _signals():
            return _in_turn(run, work)
    except Interrupted as error:  # while the report was being written
        run.say(f"{run.step}: {error}")
        return error.exit_code


def _in_turn(run: Run, work: Callable[[], Result]) -> int:
    from ci.report import Result

    with ExitStack() as stack:
        try:
            stack.enter_context(_turn(run))
            _forget(run)
        except StepError as error:  # a report that is there is somebody else's, or cannot be replaced
            code = error.outcome.exit_code
            _tell(run, _report(run, Result.of_error(error), code), written=False)
            return code
        code, result = _ended(run, work)
        report = _report(run, result, code)
        unwritten = _write(run, report)
        untold = _tell(run, report, written=not unwritten)
        return code or unwritten or untold


@contextmanager
def _turn(run: Run) -> Iterator[None]:
    from ci.files import held

    if not (run.alone and run.project_name):
        yield
        return
    with held(_LOCKS / run.project_name, run.project_name):
        yield


def _forget(run: Run) -> None:
    """Remove the former report: whoever finds one afterwards must be able to trust that it is of this run."""
    from ci.files import forgotten, said_plainly

    for suffix in (".json", ".xml", ".html"):
        with said_plainly(run.where(suffix)):
            run.where(suffix).unlink(missing_ok=True)
    shutil.rmtree(run.where("_files"), ignore_errors=True)
    forgotten(run.where(".json").parent)


def _write(run: Run, report: StepReport) -> int:
    """Write the report; return the exit code if that did not work, else 0."""
    from ci.pages import write

    try:
        write(report, run.where())
    except StepError as error:
        run.say(f"{run.step}: {error.outcome}: report not written: {error}")
        return error.outcome.exit_code
    return 0


def _ended(run: Run, work: Callable[[], Result]) -> tuple[int, Result]:
    try:
        with run.progress.heartbeat(run.step):
            result = work()
    except (Interrupted, KeyboardInterrupt) as error:  # the latter from libraries that handle Ctrl-C themselves
        return _stopped(error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT))
    except Exception as error:  # noqa: BLE001  # the last line of defence: a bug must still leave a report
        signalled = _signal_behind(error)
        return _stopped(signalled) if signalled else _failed(run, error)
    else:
        return result.outcome.exit_code, result


def _stopped(by: Interrupted) -> tuple[int, Result]:
    from ci.report import Result

    return by.exit_code, Result(str(by), Outcome.CRASHED, "nothing half-written was left; run it again")


def _signal_behind(error: BaseException | None) -> Interrupted | None:
    """Find the signal that a library dressed up as an error of its own, such as a failed import."""
    while error is not None and not isinstance(error, Interrupted):
        error = error.__cause__ or error.__context__
    return error


def _failed(run: Run, error: Exception) -> tuple[int, Result]:
    from ci.report import Result

    if isinstance(error, StepError):
        if run.verbose:
            traceback.print_exception(error)
        return error.outcome.exit_code, Result.of_error(error)
    traceback.print_exception(error)
    message = f"{type(error).__name__}: {error}".splitlines()[0]
    return 1, Result(message, Outcome.CRASHED, "this is a bug: please report it with the traceback above")


@contextmanager
def _signals() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into an exception, so that `finally` blocks clean up; once, so that they may finish."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for later in former:
            signal.signal(later, signal.SIG_IGN)
        raise Interrupted(number)

    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in former:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _report(run: Run, result: Result, code: int) -> StepReport:
    from ci.adapters.git import head
    from ci.report import StepReport

    return StepReport(
        step=run.step,
        project=run.project_name,
        result=result,
        started=run.started.isoformat(timespec="milliseconds"),
        finished=datetime.now(UTC).isoformat(timespec="milliseconds"),
        params_digest=_params_digest(run),
        git_commit=os.environ.get("GIT_COMMIT") or head(),
        build={name: os.environ[name] for name in _BUILD if os.environ.get(name)},
        exit_code=code,
    )


def _params_digest(run: Run) -> str | None:
    from ci.files import sha256

    path = Path("projects", run.project_name or "", "params.yaml") if run.project_name else Path("params.yaml")
    return sha256(path) if path.is_file() and os.access(path, os.R_OK) else None


def _print(text: str) -> None:
    """
    Write to stdout.

    Raises:
        BadInput: its disk is full, or its reader has left; what follows goes nowhere.
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError):  # or Python would try again on its way out, and end with a code of its own
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise BadInput(f"stdout: cannot be written ({error.strerror})") from error


def _tell(run: Run, report: StepReport, *, written: bool) -> int:
    """Tell people how it ended, and the program that asked for it; return the exit code if that did not work, else 0."""
    result = report.result
    run.say(f"{run.step}: {result.outcome}: {result.message}")
    if result.hint:
        run.say(f"  hint: {result.hint}")
    if written:
        run.say(f"  report: {run.where('.html')}")
    try:
        if run.as_json:
            _print(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    except BadInput as error:
        run.say(f"{run.step}: {error.outcome}: {error}")
        return error.outcome.exit_code
    return 0


def _enter_root() -> None:
    """Steps work on the checkout around the current folder: its root is where dvc.yaml and params.yaml lie."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            os.chdir(folder)
            return
    sys.stderr.write("slipway: bad input: not inside a checkout: no params.yaml beside a dvc.yaml here or above\n")
    sys.exit(Outcome.BAD_INPUT.exit_code)
