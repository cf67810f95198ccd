"""The documents tell the truth: what they say to type exists, what they point at is there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from course_utils.cli import app
from course_utils.plm.names import POCKET_MODELS
from course_utils.plm.pocket import card
from course_utils.plm.sources import resolve

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md")


def commands(document: str) -> list[str]:
    """What a document tells its reader to type: lines of code blocks, and code in the text."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    inline = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    return [c.removeprefix(".venv/bin/") for c in [*lines, *inline] if c]


def typed(program: str) -> list[tuple[str, str]]:
    """(document, command) for every command of that program that takes arguments."""
    return [
        (document, command)
        for document in DOCUMENTS
        for command in commands(document)
        if command.startswith(f"{program} ")
    ]


@pytest.mark.parametrize(("document", "command"), typed("course"))
def test_course_commands_parse(document, command):
    """Every `course ...` names a command there is and gives it arguments it takes."""
    arguments = shlex.split(command.replace("...", ""))[1:]
    group, path = typer.main.get_command(app), []
    while hasattr(group, "commands") and arguments and not arguments[0].startswith("-"):
        path.append(arguments.pop(0))
        assert path[-1] in group.commands, f"{document}: no command {' '.join(path)!r}"
        group = group.commands[path[-1]]
    if arguments not in ([], ["--help"], ["--version"]):
        group.make_context(" ".join(path), arguments, resilient_parsing=False)


@pytest.mark.parametrize(("document", "command"), typed("make"))
def test_make_targets_exist(document, command):
    done = subprocess.run(
        ["make", "--dry-run", *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{document}: {command}: {done.stderr}"


@pytest.mark.parametrize(("document", "command"), typed("python"))
def test_scripts_and_modules_exist(document, command):
    words = shlex.split(command)[1:]
    if words[0] == "-m":
        assert words[1] in ("pytest", "venv", "pip")
        words = words[2:]
    for word in words:
        if word.endswith(".py"):
            assert (ROOT / word).is_file(), f"{document}: {command}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_and_folders_named_exist(document):
    """Every path in the document that looks like one of the project's own."""
    made = {"demo-output/", "course-run/"}  # by the commands, not in a checkout
    for code in re.findall(r"`([^`\n]+)`", (ROOT / document).read_text(encoding="utf-8")):
        own = re.fullmatch(r"[\w.-]+(/[\w.-]*)+", code) and not code.startswith("..")
        placeholder = "NAME" in code or code.startswith((".venv", "pocket/")) or code in made
        if own and not placeholder:
            assert (ROOT / code).exists(), f"{document}: {code}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text(encoding="utf-8")):
        assert target.startswith("http") or (ROOT / target).exists(), f"{document}: {target}"


def test_the_check_on_commands_can_fail():
    group = typer.main.get_command(app)
    assert "no-such-command" not in group.commands
    with pytest.raises(Exception, match="(?i)no such option"):
        group.commands["doctor"].make_context("doctor", ["--no-such-option"])


def test_tables_about_pocket_models_are_those_of_their_cards():
    """README's numbers are what `course pocket card` prints, from the weights as shipped."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    base = card.evaluation("pocket-bert-base")
    assert card.overview() in text
    assert card.few_shot_table(base) in text
    assert card.full_data_table(base) in text


@pytest.mark.parametrize("name", POCKET_MODELS)
def test_evaluations_are_of_the_weights_that_ship(name):
    assert card.evaluation(name)["about"]["weights"] == resolve(name, None).revision
