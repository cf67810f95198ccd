"""`course claims` as it is typed."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from course_utils.claims.catalogue import CLAIMS
from course_utils.cli import app
from course_utils.errors import CourseError


def typed(*arguments):
    return CliRunner().invoke(app, ["claims", *arguments], env={"COLUMNS": "200"})


def test_list_names_all_and_measures_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = typed("--list").output
    assert all(name in shown for name in CLAIMS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "prompts-beat-hats"], "Did you mean 'prompts-beat-heads'"),
        (["--seeds", "1"], "2 seeds or more"),
        (["--plm", "pocket-bert-tinny", "--only", "in-context-grows"], "pocket-bert-tiny"),
    ],
)
def test_what_cannot_be_run_is_said_at_once(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = typed(*arguments)
    assert isinstance(done.exception, CourseError)
    assert says in str(done.exception)
    assert not list(tmp_path.iterdir())
