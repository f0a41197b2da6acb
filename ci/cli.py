"""
The step contract: what every script in steps/ gets for nothing.

Options with environment fallbacks, `--json`, `-v`, progress and heartbeat on stderr, one-line errors with hints, exit
codes, and a report as JSON, JUnit XML and HTML. docs/reference/steps.md describes it for users.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci.errors import BadInput, Interrupted, Outcome, StepError
from ci.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from ci.project import Project
    from ci.report import Result, StepReport

INPUT = click.Path(path_type=Path)
_BUILD = ("BUILD_URL", "JOB_NAME", "BUILD_NUMBER", "BRANCH_NAME", "CHANGE_ID")


@dataclass
class Run:
    """One run of one step."""

    step: str
    project_name: str | None = None
    verbose: bool = False
    as_json: bool = False
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

    def where(self, suffix: str = ".json") -> Path:
        """Return the path of this step's report."""
        return Path("reports", self.project_name or "all", self.step + suffix)


def step(*, project: bool = True) -> Callable[[Callable[..., Result]], click.Command]:
    """
    Make a function `(run, **options) -> Result` a step.

    With `project`, it takes `--project NAME`. The name of the step is the name of its module.
    """

    def decorate(function: Callable[..., Result]) -> click.Command:
        name = Path(function.__code__.co_filename).stem

        @functools.wraps(function)
        def callback(**options: Any) -> None:
            run = Run(name, options.pop("project", None), options.pop("verbose"), options.pop("as_json"))
            sys.exit(_carry_out(run, lambda: function(run, **options)))

        command: click.Command = _Command(
            name=name.replace("_", "-"),
            callback=callback,
            params=list(reversed(getattr(function, "__click_params__", []))),
            help=function.__doc__,
            context_settings={"auto_envvar_prefix": f"SLIPWAY_{name.upper()}", "show_default": True},
        )
        command.params[:0] = [_project()] if project else []
        command.params += _common()
        return command

    return decorate


class _Command(click.Command):
    """A command whose usage errors end like all other bad input: one line, code 2, a report."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            run = Run(str(self.name).replace("-", "_"))
            problem = BadInput(error.format_message(), hint=f"python -m steps.{run.step} --help")
            sys.exit(_carry_out(run, functools.partial(_fail, problem)))
        except click.exceptions.Abort:
            sys.exit(130)


def _fail(problem: StepError) -> Result:
    raise problem


def _project() -> click.Option:
    def checked(_context: click.Context, _option: click.Parameter, value: str) -> str:
        if not value.isidentifier() or not value.isascii():
            raise click.BadParameter(f"{value[:80]!r} is not a project name")
        return value

    return click.Option(["--project"], required=True, callback=checked, help="Folder below projects/.", metavar="NAME")


def _common() -> list[click.Parameter]:
    return [
        click.Option(["--json", "as_json"], is_flag=True, help="Print the report to stdout."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Tell more; show tracebacks."),
    ]


def _carry_out(run: Run, work: Callable[[], Result]) -> int:
    """Do the work and report how it ended, whatever happens; return the exit code."""
    _enter_root()
    for suffix in (".json", ".xml", ".html"):
        run.where(suffix).unlink(missing_ok=True)
    code, result = _ended(run, work)
    report = _report(run, result)
    try:
        from ci.pages import write

        write(report, run.where())
    except StepError as error:
        run.say(f"{run.step}: {error.outcome}: report not written: {error}")
        code = code or error.outcome.exit_code
    _tell(run, report)
    return code


def _ended(run: Run, work: Callable[[], Result]) -> tuple[int, Result]:
    from ci.report import Result

    try:
        with _signals(), run.progress.heartbeat(run.step):
            result = work()
        return result.outcome.exit_code, result
    except Interrupted as error:
        return error.exit_code, Result.of_error(error)
    except StepError as error:
        if run.verbose:
            traceback.print_exc()
        return error.outcome.exit_code, Result.of_error(error)
    except Exception as error:  # noqa: BLE001  # the last line of defence: a bug must still leave a report
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}".splitlines()[0]
        return 1, Result(message, Outcome.CRASHED, "this is a bug: please report it with the traceback above")


@contextmanager
def _signals() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into an exception, so that `finally` blocks clean up."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(number)

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _report(run: Run, result: Result) -> StepReport:
    from ci.adapters.git import head
    from ci.report import StepReport

    return StepReport(
        step=run.step,
        project=run.project_name,
        result=result,
        started=run.started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        params_digest=_params_digest(run),
        git_commit=os.environ.get("GIT_COMMIT") or head(),
        build={name: os.environ[name] for name in _BUILD if os.environ.get(name)},
    )


def _params_digest(run: Run) -> str | None:
    from ci.files import sha256

    path = Path("projects", run.project_name or "", "params.yaml") if run.project_name else Path("params.yaml")
    return sha256(path) if path.is_file() else None


def _tell(run: Run, report: StepReport) -> None:
    result = report.result
    run.say(f"{run.step}: {result.outcome}: {result.message}")
    if result.hint:
        run.say(f"  hint: {result.hint}")
    if run.where(".html").exists():
        run.say(f"  report: {run.where('.html')}")
    if run.as_json:
        click.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))


def _enter_root() -> None:
    """Steps work on the checkout around the current folder: its root is where dvc.yaml and params.yaml lie."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            os.chdir(folder)
            return
    click.echo("slipway: bad input: not inside a checkout: no params.yaml beside a dvc.yaml here or above", err=True)
    sys.exit(Outcome.BAD_INPUT.exit_code)
