"""
The step contract: what every script in steps/ gets for nothing.

Options with environment fallbacks, `--json`, `-v`, and one way to complain about a wrong command line; what happens
then is `ci.running`. docs/reference/steps.md describes it for users.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ci.errors import BadInput, StepError
from ci.running import Run, carry_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.report import Result

__all__ = ["INPUT", "PROJECTS", "Run", "step"]

INPUT = click.Path(path_type=Path)


def step(
    *, project: bool = True, alone: bool = False, aside: str | None = None
) -> Callable[[Callable[..., Result]], click.Command]:
    """
    Make a function `(run, **options) -> Result` a step.

    With `project`, it takes `--project NAME`. With `alone`, no other such step may work on the same project at the
    same time. With the flag that `aside` names, the step only answers a question, and its report lies beside the last
    verdict's instead of taking its place. The name of the step is the name of its module.
    """

    def decorate(function: Callable[..., Result]) -> click.Command:
        name = Path(function.__code__.co_filename).stem

        @functools.wraps(function)
        def callback(**options: Any) -> None:
            named = options.pop("project", None) if project else None
            asked = aside if aside and options.get(aside) else ""
            run = Run(name, named, options.pop("verbose"), options.pop("as_json"), alone, asked)
            code = carry_out(run, lambda: function(run, **options))
            _end(code, at_once=alone and function.__module__ == "__main__")

        command: click.Command = _Command(
            name=name.replace("_", "-"),
            callback=callback,
            params=list(reversed(getattr(function, "__click_params__", []))),
            help=function.__doc__,
            epilog=f"An option may also come from the environment, as SLIPWAY_{name.upper()}_OPTION.",
            context_settings={"show_default": True},
        )
        command.params[:0] = [_project()] if project else []
        command.params += _common()
        for option in command.params:
            option.envvar = option.envvar or _variable(name, option)
        return command

    return decorate


def _end(code: int, *, at_once: bool) -> NoReturn:
    """End the process; `at_once` leaves it to the system to clear the table: Python takes up to 0.6 s to do so."""
    if at_once:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    sys.exit(code)


def _variable(step: str, option: click.Parameter) -> str:
    """Name an option's environment variable after its long spelling: `--dry-run` is SLIPWAY_GATE_DRY_RUN."""
    return f"SLIPWAY_{step}_{max(option.opts, key=len).lstrip('-')}".upper().replace("-", "_")


class _Command(click.Command):
    """A command whose usage errors end like all other bad input: one line, code 2, a report."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            given = [str(item) for item in (args[0] if args else sys.argv[1:])]
            name = str(self.name).replace("-", "_")
            run = Run(name, _named_all_the_same(name, given), as_json="--json" in given)
            problem = BadInput(_in_words(error), hint=f"python -m steps.{run.step} --help")
            sys.exit(carry_out(run, functools.partial(_fail, problem)))
        except click.exceptions.Abort:
            sys.exit(130)


def _named_all_the_same(step: str, given: Sequence[str]) -> str | None:
    """Return the project on a wrong command line: its old report must not survive either."""
    found = os.environ.get(f"SLIPWAY_{step.upper()}_PROJECT")
    for before, item in zip(["", *given], given, strict=False):
        if before == "--project" or item.startswith("--project="):
            found = item.removeprefix("--project=")
    return found if found and _is_name(found) else None


def _in_words(error: click.ClickException) -> str:
    """Say what click says as everything else is said: the thing, then the fact."""
    if isinstance(error, click.NoSuchOption):
        near = f" (did you mean {', '.join(error.possibilities)}?)" if error.possibilities else ""
        return f"{error.option_name}: no such option{near}"
    if isinstance(error, click.BadParameter) and error.param is not None:
        fact = "missing" if isinstance(error, click.MissingParameter) else error.message.rstrip(".")
        return f"{max(error.param.opts, key=len)}: {fact}"
    message = error.format_message().rstrip(".")
    return message[:1].lower() + message[1:]


def _fail(problem: StepError) -> Result:
    raise problem


def _is_name(value: str) -> bool:
    return value.isidentifier() and value.isascii() and len(value) <= 80


class _Name(click.ParamType[str]):
    """A project's name; several in one variable are set apart by blanks, and by nothing else that looks like one."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _is_name(value):
            self.fail(f"{value[:80]!r} is not a project name", param, ctx)
        return str(value)

    def split_envvar_value(self, rv: str) -> list[str]:
        return [name for name in rv.split(" ") if name]


PROJECTS = click.option("--project", "projects", type=_Name(), multiple=True, metavar="NAME", help="Only this project; may be repeated.")  # fmt: skip


def _project() -> click.Option:
    return click.Option(["--project"], required=True, type=_Name(), help="Folder below projects/.", metavar="NAME")


def _common() -> list[click.Parameter]:
    return [
        click.Option(["--json", "as_json"], is_flag=True, help="Print the report to stdout."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Tell more; show tracebacks."),
    ]
