"""Runs a student's cells and answers the judge's calls. One process per submission, in the sandbox.

python -m autograder.judging.worker READ WRITE [CELL ALL]
    file descriptors of the two directions; how many bytes a cell, and all of them, may print

Requests are dicts with "op" and "turn"; an answer repeats the turn and has either "value" or
"error" (class and message of what was raised). Nothing here is trusted by the judge: the student's
code shares this process and may have changed any of it.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import types
from typing import Any

MOST_SAID = 10_000  # characters of a cell's output that are passed on
MOST_MESSAGE = 500  # of an exception
CELL_BYTES, ALL_BYTES = 1_000_000, 5_000_000
OUT_OF_MEMORY, TOO_MUCH_OUTPUT = 101, 102
ENDED_ITSELF = {OUT_OF_MEMORY: "out_of_memory", TOO_MUCH_OUTPUT: "output_limit"}


class Worker:
    """The student's namespace, and the objects the judge holds by number."""

    def __init__(self, cell_bytes: int = CELL_BYTES, all_bytes: int = ALL_BYTES) -> None:
        self.main = types.ModuleType("__main__")
        self.names: dict[str, Any] = vars(self.main)
        self.objects: list[Any] = []
        self.cell_bytes, self.left = cell_bytes, all_bytes

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request; what the student's code raises becomes an error."""
        turn = request.get("turn")
        said = _Said(min(self.cell_bytes, self.left))
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                value = getattr(self, "op_" + request["op"])(**request.get("with", {}))
            return {"turn": turn, "value": value, "said": said.end()}
        except KeyboardInterrupt:
            raise
        except BaseException as raised:
            message = _message(raised)
            if _is_out_of_memory(raised, message):
                os._exit(OUT_OF_MEMORY)
            error = {"class": _class(raised), "message": message}
            return {"turn": turn, "error": error, "said": said.end()}
        finally:
            self.left -= said.bytes

    # What the judge may ask for.

    def op_run(self, source: str, name: str) -> None:
        """Run a cell."""
        exec(compile(source, f"<{name}>", "exec"), self.names)

    def op_has(self, name: str) -> bool:
        return name in self.names

    def op_call(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call something of the student's namespace."""
        return self.names[name](*args, **kwargs)

    def op_watched(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call something of the student's, and give the arguments back as they are afterwards."""
        value = self.names[name](*args, **kwargs)
        return {"value": value, "args": args, "same": any(value is given for given in args)}

    def op_embedding(self, weights: Any, trained: bool) -> Any:
        """An nn.Embedding with these rows."""
        import torch

        return torch.nn.Embedding.from_pretrained(weights.clone(), freeze=not trained)

    def op_linear(self, weight: Any, bias: Any) -> Any:
        """An nn.Linear with these values; without a bias where it is None."""
        import torch

        made = torch.nn.Linear(*reversed(weight.shape), bias=bias is not None, dtype=weight.dtype)
        self.op_put(made, {"weight": weight} | ({} if bias is None else {"bias": bias}))
        return made

    def op_method(self, of: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call an object, or a method of it."""
        target = of if name == "__call__" else getattr(of, name)
        return target(*args, **kwargs)

    def op_get(self, of: Any, name: str) -> Any:
        """An attribute, by a path of names."""
        for part in name.split("."):
            of = getattr(of, part)
        return of

    def op_parameters(self, of: Any) -> dict[str, Any]:
        """name -> (value, whether it is trained) of a module's parameters."""
        return {name: (p, bool(p.requires_grad)) for name, p in of.named_parameters()}

    def op_put(self, of: Any, values: dict[str, Any]) -> None:
        """Write values into a module's parameters."""
        import torch

        own = dict(of.named_parameters())
        with torch.no_grad():
            for name, value in values.items():
                own[name].copy_(value)

    def op_train(self, of: Any, mode: bool) -> None:
        of.train(mode)

    def op_gradients(
        self,
        of: Any,
        name: str | None,
        args: list[Any],
        kwargs: dict[str, Any],
        weights: Any,
        inputs: list[int],
        parameters: Any,
    ) -> dict[str, Any]:
        """Gradients of the sum of output · weights.

        Args:
            of, name: an object and its method; or of None and a function's name.
            inputs: which positional arguments to differentiate by.
            parameters: the module whose parameters to differentiate by, or None.
        """
        import torch

        args = list(args)
        for place in inputs:
            args[place] = args[place].detach().clone().requires_grad_(True)
        if of is None:
            output = self.names[name](*args, **kwargs)
        else:
            output = (of if name == "__call__" else getattr(of, name))(*args, **kwargs)
        wanted = {f"input {place}": args[place] for place in inputs}
        if parameters is not None:
            wanted |= {n: p for n, p in parameters.named_parameters() if p.requires_grad}
        found = torch.autograd.grad(
            (output * weights).sum(), list(wanted.values()), allow_unused=True
        )
        return dict(zip(wanted, found, strict=True)) | {"output": output}

    def op_learn(
        self,
        of: Any,
        args: list[Any],
        kwargs: dict[str, Any],
        take: str,
        weights: Any,
        rate: float,
        optimizer: Any,
    ) -> None:
        """One step of training a module on the sum of output · weights.

        Args:
            of: the module; it is called.
            take: the attribute of its output that counts, "" for the output itself.
            rate: of plain SGD on whatever requires a gradient.
            optimizer: one of the student's, which steps in place of that; or None.
        """
        import torch

        output = of(*args, **kwargs)
        of.zero_grad(set_to_none=True)
        ((getattr(output, take) if take else output) * weights).sum().backward()
        if optimizer is None:
            own = [p for p in of.parameters() if p.requires_grad]
            optimizer = torch.optim.SGD(own, lr=rate)
        optimizer.step()

    def op_plm(self, family: str, sizes: dict[str, int], seed: int) -> Any:
        """A small PLM with random weights: the judge makes the same one on its side."""
        from autograder.judging.plms import small_plm

        return small_plm(family, sizes, seed)

    def op_forget(self) -> None:
        """Let go of all objects held by number."""
        self.objects.clear()

    # Objects by number.

    def number_of(self, value: Any) -> Any:
        from autograder.judging.wire import Remote

        self.objects.append(value)
        return Remote(len(self.objects) - 1, _class(value, of_a_value=True))

    def object_of(self, remote: Any) -> Any:
        if not 0 <= remote.number < len(self.objects):
            raise LookupError(f"no object {remote.number}")
        return self.objects[remote.number]


class _Said(io.TextIOBase):
    """What is printed: its end is kept; more than allowed ends the process.

    Not an exception: the student's code could go on after it.
    """

    encoding, errors = "utf-8", "replace"

    def __init__(self, most: int) -> None:
        self.most, self.bytes, self.tail = most, 0, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.bytes += len(text.encode("utf-8", "replace"))
        if self.bytes > self.most:
            os._exit(TOO_MUCH_OUTPUT)
        self.tail = (self.tail + text)[-MOST_SAID:]
        return len(text)

    def end(self) -> str:
        """The last characters, none of which UTF-8 lacks."""
        return self.tail.encode("utf-8", "replace").decode("utf-8")


def _is_out_of_memory(raised: BaseException, message: str) -> bool:
    of_torch = isinstance(raised, RuntimeError) and "can't allocate memory" in message
    return isinstance(raised, MemoryError) or of_torch


def _class(value: Any, of_a_value: bool = False) -> str:
    kind = type(value)
    return kind.__name__ if not of_a_value else f"{kind.__module__}.{kind.__qualname__}"


def _message(raised: BaseException) -> str:
    try:
        return str(raised)[:MOST_MESSAGE].encode("utf-8", "replace").decode("utf-8")
    except BaseException:
        return "(its message can't be shown)"


def serve(
    reads: int, writes: int, cell_bytes: int = CELL_BYTES, all_bytes: int = ALL_BYTES
) -> None:
    """Answers requests until the judge hangs up.

    Args:
        cell_bytes, all_bytes: what a cell or call, and all together, may print.
    """
    from autograder.judging.frame import HEAD, WireError, lengths
    from autograder.judging.wire import decode, encode

    worker = Worker(cell_bytes, all_bytes)
    # as in Jupyter: what a cell defines is found there by pickle, so by a pool of processes
    sys.modules["__main__"] = worker.main
    while True:
        head = _exactly(reads, HEAD.size)
        if head is None:
            return
        page, tensors = lengths(head)
        body = _exactly(reads, page), _exactly(reads, tensors)
        request = decode(*body, known=worker.object_of)
        answer = worker.answer(request)
        try:
            message = encode(answer, worker.number_of)
        except WireError as odd:
            error = {"class": "WireError", "message": str(odd)}
            message = encode({"turn": request.get("turn"), "error": error, "said": ""})
        _write(writes, message)


def _exactly(file: int, size: int) -> bytes | None:
    """So many bytes; None where the other side has hung up."""
    found = bytearray()
    while len(found) < size:
        part = os.read(file, min(1 << 20, size - len(found)))
        if not part:
            return None
        found += part
    return bytes(found)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _away(reads: int, writes: int) -> tuple[int, int]:
    """Other numbers for the files, where they are the standard streams; those lead nowhere."""
    moved = tuple(os.dup(file) if file < 3 else file for file in (reads, writes))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
    return moved


if __name__ == "__main__":
    serve(*_away(*map(int, sys.argv[1:3])), *map(int, sys.argv[3:]))
