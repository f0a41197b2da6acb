"""The step contract, in this process: options, environment, ends, reports."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from ci import cli, files, running
from ci.errors import BadInput, Unavailable
from ci.report import Check, Found, Result
from ci.report import Outcome as Ends


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of two files, without Git."""
    (tmp_path / "params.yaml").write_text("projects: [shop]\n")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ci.adapters.git.head", lambda: "c" * 40)
    return tmp_path


def call(work: Any, *arguments: str, **kinds: bool) -> int:
    """Make a step of a function and run it; its name is this module's."""
    with pytest.raises(SystemExit) as ended:
        cli.step(**kinds)(work).main(list(arguments))
    return int(ended.value.code or 0)


def report(project: str = "shop") -> dict[str, Any]:
    return dict(files.read_json(Path("reports", project, "test_cli.json")))


def fine(run: cli.Run) -> Result:
    """Do well."""
    return Result("went well")


def test_a_step_that_went_well_ends_with_0_and_three_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(fine, "--project", "shop") == 0
    assert sorted(path.name for path in Path("reports/shop").iterdir()) == [
        "report.css", "test_cli.html", "test_cli.json", "test_cli.xml"]  # fmt: skip
    shown = capsys.readouterr()
    assert shown.err == "test_cli: passed: went well\n  report: reports/shop/test_cli.html\n"
    assert shown.out == ""


@pytest.mark.parametrize(
    ("given", "found"), [("shop", ("shop",)), ("shop toy", ("shop", "toy")), (" shop ", ("shop",))]
)
def test_projects_in_one_variable_are_set_apart_by_blanks(
    monkeypatch: pytest.MonkeyPatch, given: str, found: Any
) -> None:
    seen: list[tuple[str, ...]] = []

    @cli.PROJECTS
    def several(run: cli.Run, projects: tuple[str, ...]) -> Result:
        """Look."""
        seen.append(projects)
        return Result("looked")

    monkeypatch.setenv("SLIPWAY_TEST_CLI_PROJECT", given)
    assert call(several, project=False) == 0
    assert seen == [found]


@pytest.mark.parametrize(
    "text", ["shop\nshop", "shop\ttoy", "ｔoy", "тоy", "../shop", "$(id)", "x" * 10_000, "shop toy;"]
)
@pytest.mark.parametrize("step", ["repro", "summary", "datasets"])
def test_what_is_no_projects_name_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: str, text: str
) -> None:
    monkeypatch.setenv(f"SLIPWAY_{step.upper()}_PROJECT", text)
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"steps.{step}").main.main([])
    assert ended.value.code == 2
    assert "--project: " in (said := capsys.readouterr().err)
    assert "is not a project name" in said
    assert len(said) < 400


@pytest.mark.parametrize("ends", [Ends.PASSED, Ends.REJECTED])
def test_an_answer_that_cannot_be_written_is_one_line_and_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ends: Ends
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code = call(lambda run: Result("so it is", ends), "--project", "shop", "--json")
        sys.stdout.write("what follows goes nowhere, without complaint")
    assert code == (ends.exit_code or 2)
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == "test_cli: bad input: stdout: cannot be written (No space left on device)"
    assert "Traceback" not in said


def test_a_script_that_works_alone_ends_at_once_with_all_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(fine, "__module__", "__main__")
    assert call(fine, "--project", "shop", "--json", alone=True) == 0
    assert ended == [0]
    assert json.loads(capsys.readouterr().out)["message"] == "went well"
    assert call(fine, "--project", "shop", alone=False) == 0
    monkeypatch.setattr(fine, "__module__", "steps.fine")  # by its installed command, or from other code
    assert call(fine, "--project", "shop", alone=True) == 0
    assert ended == [0]


@pytest.mark.parametrize("outcome", list(Ends))
def test_the_verdict_is_the_exit_code(outcome: Ends) -> None:
    def work(run: cli.Run) -> Result:
        return Result("so it is", outcome, checks=[Check("one", Found.PASSED, "")])

    assert call(work, "--project", "shop") == outcome.exit_code
    assert (report()["outcome"], report()["exit_code"]) == (outcome.value, outcome.exit_code)


@pytest.mark.parametrize(("error", "code"), [(BadInput("a.csv: empty", hint="look"), 2), (Unavailable("x: silent"), 5)])
def test_an_expected_end_is_one_line_and_its_hint(capsys: pytest.CaptureFixture[str], error: Any, code: int) -> None:
    def work(run: cli.Run) -> Result:
        raise error

    assert call(work, "--project", "shop") == code
    shown = capsys.readouterr().err
    assert shown.startswith(f"test_cli: {error.outcome}: {error}\n")
    assert "Traceback" not in shown
    assert (f"  hint: {error.hint}\n" in shown) is bool(error.hint)


def test_verbose_shows_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    def work(run: cli.Run) -> Result:
        raise BadInput("a.csv: empty")

    assert call(work, "--project", "shop", "-v") == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_a_crash_with_a_traceback_and_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    def work(run: cli.Run) -> Result:
        raise ZeroDivisionError("two\nlines")

    assert call(work, "--project", "shop") == 1
    assert "Traceback" in capsys.readouterr().err
    assert report()["message"] == "ZeroDivisionError: two"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_step_by_the_shells_convention(number: int, code: int) -> None:
    def work(run: cli.Run) -> Result:
        try:
            os.kill(os.getpid(), number)
        except Exception as error:  # as project code is guarded
            raise BadInput("swallowed") from error
        return Result("went on")

    before = signal.getsignal(number)
    assert call(work, "--project", "shop") == code
    assert (report()["outcome"], report()["exit_code"]) == ("crashed", code)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("guarded", [False, True], ids=["bare", "told as bad input"])
def test_a_signal_that_a_library_dresses_up_as_its_own_error_is_still_a_signal(guarded: bool) -> None:
    def interrupted_import() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException as error:  # as the loader of an extension module does
            raise ImportError("initialization failed") from error

    def work(run: cli.Run) -> Result:
        try:
            interrupted_import()
        except ImportError as error:
            if guarded:
                raise BadInput("features cannot become a graph") from error
            raise
        return Result("went on")

    assert call(work, "--project", "shop") == 143
    assert report()["message"] == "stopped by signal 15"


def test_a_second_signal_does_not_disturb_the_cleaning_up() -> None:
    def work(run: cli.Run) -> Result:
        with files.replacing_folder(Path("made")) as beside:
            (beside / "half").write_text("x")
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
        return Result("went on")

    assert call(work, "--project", "shop") == 143
    assert not Path("made").exists()
    assert not list(Path().glob(".made*"))


def test_the_former_report_is_gone_before_anything_happens() -> None:
    assert call(fine, "--project", "shop") == 0

    def work(run: cli.Run) -> Result:
        assert not list(Path("reports/shop").glob("test_cli*"))
        raise SystemExit(77)  # as a kill would, it leaves no time to write another

    assert call(work, "--project", "shop") == 77
    assert not list(Path("reports/shop").glob("test_cli*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--project", "shop", "--jsno"], "--jsno: no such option (did you mean --json?)"),
        (["--project", "shop", "more"], "got unexpected extra argument (more)"),
        (["--project", "shop", "--count", "many"], "--count: 'many' is not a valid integer"),
        (["--project"], "option '--project' requires an argument"),
        ([], "--project: missing"),
        (["--project", "../x"], "--project: '../x' is not a project name"),
        (["--project", "x" * 90], f"--project: '{'x' * 80}' is not a project name"),
    ],
)
def test_a_wrong_command_line_is_bad_input_like_any_other(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    work = click.option("--count", type=int)(lambda run, count: Result("went well"))
    work.__doc__ = "Work."
    assert call(work, *arguments) == 2
    assert capsys.readouterr().err.splitlines()[0] == f"test_cli: bad input: {said}"


@pytest.mark.parametrize("arguments", [["--project", "shop", "--wrong"], ["--project=shop", "--wrong"]])
def test_a_wrong_command_line_replaces_the_report_of_its_project(arguments: list[str]) -> None:
    assert call(fine, "--project", "shop") == 0
    assert call(fine, *arguments) == 2
    assert report()["outcome"] == "bad input"


def test_json_goes_to_stdout_even_if_the_command_line_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(fine, "--project", "shop", "--json", "--wrong") == 2
    assert json.loads(capsys.readouterr().out)["message"].startswith("--wrong: no such option")


def test_options_come_from_the_environment_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.option("--dry-run", is_flag=True)
    @click.option("--name", "names", multiple=True)
    def work(run: cli.Run, *, dry_run: bool, names: tuple[str, ...]) -> Result:
        return Result(f"{dry_run} {names}")

    for name, value in {"PROJECT": "shop", "DRY_RUN": "true", "NAME": "a b", "JSON": "1"}.items():
        monkeypatch.setenv(f"SLIPWAY_TEST_CLI_{name}", value)
    assert call(work) == 0
    assert json.loads(capsys.readouterr().out)["message"] == "True ('a', 'b')"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_TEST_CLI_PROJECT", "")
    assert call(fine) == 2


def test_the_command_line_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_TEST_CLI_PROJECT", "other")
    assert call(fine, "--project", "shop") == 0
    assert report("shop")["project"] == "shop"


def test_alone_means_alone(capsys: pytest.CaptureFixture[str]) -> None:
    def work(run: cli.Run) -> Result:
        Path("reports/shop").mkdir(parents=True, exist_ok=True)
        Path("reports/shop/test_cli.json").write_text('"of the first"')
        assert call(fine, "--project", "shop", alone=True) == 5
        assert call(fine, "--project", "other", alone=True) == 0
        assert Path("reports/shop/test_cli.json").read_text() == '"of the first"'
        return Result("was alone")

    assert call(work, "--project", "shop", alone=True) == 0
    assert f"shop: another process works on it (process {os.getpid()})" in capsys.readouterr().err


def test_a_report_that_cannot_be_replaced_is_not_a_success(capsys: pytest.CaptureFixture[str]) -> None:
    Path("reports/shop/test_cli.json").mkdir(parents=True)
    assert call(fine, "--project", "shop") == 2
    assert "test_cli: bad input: reports/shop/test_cli.json: " in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_not_a_success(capsys: pytest.CaptureFixture[str]) -> None:
    def work(run: cli.Run) -> Result:
        Path("reports").mkdir()
        Path("reports/shop").write_text("a file where a folder should be")
        return Result("went well")

    assert call(work, "--project", "shop") == 2
    assert "report not written: " in capsys.readouterr().err


def test_a_step_works_from_a_folder_below_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(root / "deep" / "er")
    assert call(fine, "--project", "shop") == 0
    assert (root / "reports/shop/test_cli.json").is_file()


def test_outside_of_a_checkout_it_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "dvc.yaml").unlink()
    assert call(fine, "--project", "shop") == 2
    assert capsys.readouterr().err.startswith("slipway: bad input: not inside a checkout")


def test_the_report_says_who_when_and_on_what(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "projects" / "shop").mkdir(parents=True)
    (root / "projects" / "shop" / "params.yaml").write_text("as_of: x\n")
    monkeypatch.setenv("BUILD_URL", "https://jenkins.example.org/job/1/")
    assert call(fine, "--project", "shop") == 0
    found = report()
    assert found["git_commit"] == "c" * 40
    assert found["params_digest"] == files.sha256(root / "projects/shop/params.yaml")
    assert found["build"] == {"BUILD_URL": "https://jenkins.example.org/job/1/"}
    assert found["started"] <= found["finished"]
    assert found["started"].endswith("+00:00")


def test_a_step_without_a_project_reports_for_all() -> None:
    assert call(fine, project=False) == 0
    assert report("all")["project"] is None


def test_a_run_without_a_project_says_what_is_missing() -> None:
    with pytest.raises(BadInput, match="^--project: missing$"):
        _ = running.Run("x").project
