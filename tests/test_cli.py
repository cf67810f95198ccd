"""The command line: a table of contents, near names, and errors that are one paragraph."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from course_utils import __version__
from course_utils.cli import app
from course_utils.commands.models import parse_settings
from course_utils.errors import CourseError


def course(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "course_utils.cli", *arguments], capture_output=True, text=True
    )


def plain(text: str) -> str:
    """Output without line breaks and frames, so that a sentence can be looked for."""
    return " ".join(text.replace("│", " ").split())


def commands(group=None, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command there is, as the words one types."""
    import typer

    group = group or typer.main.get_command(app)
    found = []
    for name, command in group.commands.items():
        found += commands(command, (*path, name)) if hasattr(command, "commands") else []
        found.append((*path, name))
    return found


def test_version():
    done = course("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"course kit {__version__}")


def test_help_names_every_command_with_a_sentence():
    shown = CliRunner().invoke(app, ["--help"]).output
    for path in commands():
        if len(path) == 1:
            assert path[0] in shown


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help_that_says_something(path):
    done = CliRunner().invoke(app, [*path, "--help"])
    assert done.exit_code == 0
    assert len(plain(done.output)) > 80


def test_a_mistyped_command_gets_the_near_name():
    done = course("doctr")
    assert done.returncode == 2
    assert "Did you mean 'doctor'?" in plain(done.stderr)


def test_unusable_input_is_one_paragraph_and_status_2():
    done = course("task", "show", "pocket/sst")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "unknown task 'pocket/sst'" in plain(done.stderr)
    assert "Did you mean 'pocket/sst2'" in plain(done.stderr)
    assert done.stdout == ""


def test_task_list_names_the_tasks():
    done = course("task", "list")
    assert done.returncode == 0
    assert "pocket/rte" in done.stdout.split()


def test_lab_without_a_notebook_says_where_to_run_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "course_utils.cli", "lab"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "in the kit's folder" in plain(done.stderr)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], {}),
        (["rank=4"], {"rank": 4}),
        (["dropout=0.1", "sites=query, key"], {"dropout": 0.1, "sites": ("query", "key")}),
    ],
)
def test_hyperparameters_are_read_by_their_kind(given, expected):
    assert parse_settings("lora", given) == expected


@pytest.mark.parametrize("bad", ["rank", "=4", "rank=", "rank=many", "rank=4.5"])
def test_hyperparameters_that_cannot_be_read_are_refused(bad):
    with pytest.raises(CourseError, match="expected"):
        parse_settings("lora", [bad])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--plm", "pocket-brt", "--task", "pocket/sst2"], "Did you mean 'pocket-bert'"),
        (["run", "--plm", "pocket-bert", "--task", "pocket/sst"], "Did you mean 'pocket/sst2'"),
        (
            ["run", "--plm", "pocket-bert", "--task", "pocket/sst2", "--method", "lra"],
            "Did you mean 'lora'",
        ),
        (
            ["run", "--plm", "pocket-bert", "--task", "pocket/sst2", "--set", "rnk=4"],
            "Did you mean 'rank'",
        ),
        (["release", "hw_promt"], "Did you mean 'hw_prompt'"),
        (["grade", "hw_prompt", "--submissions", "no-such-folder"], "is not there"),
        (["feedback", "hw_prompt"], "Grade it first"),
        (["export", "hw_prompt"], "Grade it first"),
        (["pocket", "pretrain", "--model", "bert-bas"], "Did you mean 'bert-base'"),
        (["publish", "--repository", "a/b"], "no notebook with a setup cell"),
    ],
)
def test_commands_refuse_what_they_cannot_use(arguments, says, tmp_path, monkeypatch):
    """In an empty folder. In this process, for speed: `main` makes it status 2, see above."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, CourseError), done.output
    assert says in str(done.exception)


def test_homework_without_nbgrader_says_what_to_install(tmp_path):
    hidden = (
        "import sys; sys.modules['nbgrader'] = None; sys.argv = ['course', 'release', 'hw_prompt'];"
        "from course_utils.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "peft-course-kit[homework]" in plain(done.stderr)


def test_help_of_run_names_every_method():
    from course_utils.tuning.methods import METHODS

    shown = plain(CliRunner().invoke(app, ["run", "--help"]).output)
    for name in METHODS:
        assert name in shown
