"""The judge's side: a student's work behind the wire, called like a library.

    student = Student(connection)
    student.run(cells)
    prompt = student.make("SoftPrompt", table, 5)
    got = student.method(prompt, "forward", embeddings)
    student.gradients(prompt, "forward", [embeddings], weights)

Every call has a deadline. What comes back is of JSON's kinds, tuples, dicts and plain tensors; an
exception of the student's is a `StudentError`, and a worker that has gone, hangs or breaks the
rules ends the conversation with `Lost`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from autograder.judging.frame import Connection, Lost, WireError
from autograder.judging.wire import Remote, decode, encode

CALL_SECONDS = 20.0
CELL_SECONDS = 60.0


class StudentError(Exception):
    """The student's code raised; `kind` is the exception's class, by name."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}" if message else kind)
        self.kind, self.message = kind, message


@dataclass(frozen=True)
class Ran:
    """A cell that ran, or what it raised."""

    name: str
    error: str = ""
    kind: str = ""
    said: str = ""


class Student:
    """A student's namespace at a worker.

    Args:
        seconds: for a call, and `cell_seconds` for a cell.
    """

    def __init__(
        self,
        connection: Connection,
        seconds: float = CALL_SECONDS,
        cell_seconds: float = CELL_SECONDS,
    ) -> None:
        self.connection, self.seconds, self.cell_seconds = connection, seconds, cell_seconds
        self._turn = 0

    def run(self, cells: Sequence[tuple[str, str]], seconds: float | None = None) -> list[Ran]:
        """Runs cells, (name, source) each, one after the other; errors do not stop the others.

        Args:
            seconds: for each; `cell_seconds` when None.
        """
        seconds = self.cell_seconds if seconds is None else seconds
        found = []
        for name, source in cells:
            answer = self._ask("run", seconds, source=source, name=name)
            error = answer.get("error")
            found.append(
                Ran(
                    name,
                    error=error["message"] if error else "",
                    kind=error["class"] if error else "",
                    said=answer["said"],
                )
            )
        return found

    def has(self, name: str) -> bool:
        return self._value("has", name=name) is True

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a function of the student's."""
        return self._value("call", name=name, args=list(args), kwargs=kwargs)

    make = call
    """Makes an object of a class of the student's; it stays there, a `Remote` stands for it."""

    def watched(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, list[Any], bool]:
        """Calls a function; (its value, the arguments afterwards, whether it gave one back)."""
        found = self._value("watched", name=name, args=list(args), kwargs=kwargs)
        if not isinstance(found, dict) or found.keys() != {"value", "args", "same"}:
            raise Lost("the worker gave no arguments back when asked for them.", "crashed")
        return found["value"], found["args"], found["same"] is True

    def embedding(self, weights: torch.Tensor, trained: bool = True) -> Remote:
        """An nn.Embedding at the worker with these rows."""
        return self._value("embedding", weights=weights, trained=trained)

    def linear(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Remote:
        """An nn.Linear at the worker with these values."""
        return self._value("linear", weight=weight, bias=bias)

    def method(self, of: Remote, name: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method of an object; "__call__" calls the object."""
        return self._value("method", of=of, name=name, args=list(args), kwargs=kwargs)

    def get(self, of: Remote, name: str) -> Any:
        """An attribute of an object, by a path of names."""
        return self._value("get", of=of, name=name)

    def parameters(self, of: Remote) -> dict[str, tuple[torch.Tensor, bool]]:
        """name -> (value, said to be trained) of a module's parameters."""
        found = self._value("parameters", of=of)
        right = isinstance(found, dict) and all(
            isinstance(v, tuple) and len(v) == 2 and type(v[0]) is torch.Tensor
            for v in found.values()
        )
        if not right:
            raise Lost("the worker gave no parameters when asked for them.", "crashed")
        return found

    def put(self, of: Remote, values: Mapping[str, torch.Tensor]) -> None:
        """Writes values into a module's parameters."""
        self._value("put", of=of, values=dict(values))

    def train(self, of: Remote, mode: bool = True) -> None:
        """A module's mode."""
        self._value("train", of=of, mode=mode)

    def gradients(
        self,
        of: Remote | None,
        name: str,
        args: Sequence[Any],
        weights: torch.Tensor,
        *,
        inputs: Sequence[int] = (),
        parameters: Remote | None = None,
        **kwargs: Any,
    ) -> dict[str, torch.Tensor | None]:
        """Gradients of sum(output · weights), and the output; None where nothing flows.

        Args:
            of, name: an object and its method, or None and a function's name.
            inputs: the positions of arguments to differentiate by: "input 0", "input 1" ...
            parameters: a module to differentiate by, under its parameters' names.
        """
        found = self._value(
            "gradients",
            of=of,
            name=name,
            args=list(args),
            kwargs=kwargs,
            weights=weights,
            inputs=list(inputs),
            parameters=parameters,
        )
        right = isinstance(found, dict) and all(
            value is None or type(value) is torch.Tensor for value in found.values()
        )
        if not right:
            raise Lost("the worker gave no gradients when asked for them.", "crashed")
        return found

    def learn(
        self,
        of: Remote,
        args: Sequence[Any],
        weights: torch.Tensor,
        *,
        take: str = "",
        rate: float = 0.1,
        optimizer: Remote | None = None,
        **kwargs: Any,
    ) -> None:
        """One step of training a module on sum(output · weights); look at `parameters` afterwards.

        Args:
            of: the module, called with args and kwargs.
            take: the attribute of its output that counts, "" for the output itself.
            rate: of plain SGD on whatever requires a gradient.
            optimizer: of the student's, which steps in place of that.
        """
        self._value(
            "learn",
            of=of,
            args=list(args),
            kwargs=kwargs,
            take=take,
            weights=weights,
            rate=rate,
            optimizer=optimizer,
        )

    def plm(self, family: str, sizes: Mapping[str, int] | None = None, seed: int = 0) -> Remote:
        """A small PLM at the worker: the one that `plms.small_plm` makes here."""
        return self._value("plm", family=family, sizes=dict(sizes or {}), seed=seed)

    def forget(self) -> None:
        """Lets the worker forget the objects it keeps."""
        self._value("forget")

    def close(self) -> None:
        self.connection.close()

    def _value(self, op: str, **given: Any) -> Any:
        answer = self._ask(op, self.seconds, **given)
        if "error" in answer:
            raise StudentError(answer["error"]["class"], answer["error"]["message"])
        return answer["value"]

    def _ask(self, op: str, seconds: float, **given: Any) -> dict[str, Any]:
        self._turn += 1
        message = encode({"op": op, "turn": self._turn, "with": given})
        page, tensors = self.connection.ask(message, seconds)
        try:
            answer = decode(page, tensors)
        except WireError as broken:
            raise Lost(f"the worker's answer breaks the rules: {broken}", "crashed") from broken
        if not _is_answer(answer, self._turn):
            raise Lost("the worker answered something that was not asked.", "crashed")
        return answer


def _is_answer(answer: Any, turn: int) -> bool:
    if not isinstance(answer, dict) or answer.get("turn") != turn:
        return False
    if not isinstance(answer.get("said"), str) or ("value" in answer) == ("error" in answer):
        return False
    error = answer.get("error", {"class": "", "message": ""})
    return (
        isinstance(error, dict)
        and error.keys() == {"class", "message"}
        and all(isinstance(text, str) for text in error.values())
    )
