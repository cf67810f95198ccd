"""A cell may be run again: it sets no name that it may have read before."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

ALL = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


class CarriedOver:
    """Names that a cell sets at its top level and may read before it has surely set them.

    Bodies of functions are left out: they read when they are called.
    """

    def __init__(self, source: str) -> None:
        self.early: set[str] = set()
        self.ever: set[str] = set()
        self.body(ast.parse(source).body, set())
        self.names = self.early & self.ever

    def body(self, statements: list[ast.stmt], sure: set[str]) -> None:
        for statement in statements:
            match statement:
                case ast.FunctionDef() | ast.ClassDef():
                    sure.add(statement.name)
                case ast.Import() | ast.ImportFrom():
                    names = statement.names
                    sure.update((alias.asname or alias.name).split(".")[0] for alias in names)
                case ast.If():
                    self.read(statement.test, sure)
                    self.branches(sure, statement.body, statement.orelse)
                case ast.For():
                    self.read(statement.iter, sure)
                    self.set(statement.target, sure)
                    self.branches(sure, statement.body, statement.orelse)
                case ast.With():
                    for item in statement.items:
                        self.read(item.context_expr, sure)
                        self.set(item.optional_vars, sure)
                    self.body(statement.body, sure)
                case ast.Try():
                    handlers = [handler.body for handler in statement.handlers]
                    self.branches(sure, statement.body, *handlers, statement.finalbody)
                case ast.AugAssign():
                    self.read(statement.value, sure)
                    self.early |= _stored(statement.target) - sure
                    self.set(statement.target, sure)
                case _:
                    self.read(statement, sure)
                    for target in getattr(statement, "targets", ()):
                        self.set(target, sure)

    def branches(self, sure: set[str], *bodies: list[ast.stmt]) -> None:
        for body in bodies:  # what only one branch sets is not sure
            self.body(body, set(sure))

    def read(self, node: ast.AST, sure: set[str]) -> None:
        own = {argument.arg for argument in ast.walk(node) if isinstance(argument, ast.arg)}
        for part in ast.walk(node):
            if isinstance(part, ast.comprehension):
                own |= _stored(part.target)
        loaded = (part for part in ast.walk(node) if isinstance(part, ast.Name))
        self.early |= {p.id for p in loaded if isinstance(p.ctx, ast.Load)} - sure - own

    def set(self, target: ast.AST | None, sure: set[str]) -> None:
        names = _stored(target) if target is not None else set()
        self.ever |= names
        sure |= names


def _stored(target: ast.AST) -> set[str]:
    names = (part for part in ast.walk(target) if isinstance(part, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_no_cell_changes_what_it_starts_from(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert not CarriedOver(cell.source).names, cell.source


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = x + 1", {"x"}),
        ("x += 1", {"x"}),
        ("x = 0\nx += 1", set()),
        ("for s in (0, 1):\n    if s:\n        x = s\n    print(x)", {"x"}),
        ("for s in (0, 1):\n    x = s\n    print(x)", set()),
        ("x = [x for x in (1, 2)]", set()),
        ("def f():\n    return x\nx = 1", set()),
    ],
)
def test_the_check_itself(source, names):
    assert CarriedOver(source).names == names
