"""What a hostile class hands in: a small homework with tensors, and who attacks what, and how.

An entry says what its submission must come to. Wherever somebody cheats, the answers themselves
are wrong, so that every point above the honest ones would be a point stolen.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CHECKS = """
import torch

from autograder.judging.judge import Checks, expect, expect_tensor, expect_value

check = Checks()
HIDDEN = "hidden-in-the-checks-4711"


@check("scales ones by 2", points=1, exercise="scale")
def _(student, draw):
    expect_tensor("scaled", student.call("scale", torch.ones(2, 3), 2.0), torch.ones(2, 3) * 2)


@check("scales anything", points=2, exercise="scale")
def _(student, draw):
    values, factor = draw.normal(draw.between(2, 5), 3), float(draw.between(3, 9))
    expect_tensor("scaled", student.call("scale", values.clone(), factor), values * factor)


@check("multiplies by its weight", points=1, exercise="gate")
def _(student, draw):
    gate, weight, values = student.make("Gate", 4), draw.normal(4), draw.normal(3, 4)
    student.put(gate, {"weight": weight})
    expect_tensor("gated", student.method(gate, "__call__", values), values * weight)


@check("its weight gets gradients, and learns", points=2, exercise="gate")
def _(student, draw):
    gate, values, weights = student.make("Gate", 4), draw.normal(3, 4), draw.normal(3, 4)
    got = student.gradients(gate, "__call__", [values], weights, parameters=gate)
    expect_tensor("gradient", got.get("weight"), (values * weights).sum(0))
    before = student.parameters(gate)["weight"][0]
    student.learn(gate, [values], weights, rate=0.1)
    after = student.parameters(gate)["weight"][0]
    expect_tensor("weight", after, before - 0.1 * (values * weights).sum(0))


@check("counts words", points=1, exercise="count")
def _(student, draw):
    number = draw.between(5, 50)
    expect_value("words", student.call("count", "word " * number), number)
    expect(1 / student.call("count", "one two") == 0.5, "words: two are not two.")
"""

SCALE = "def scale(x, factor):\n    return x * factor\n"
GATE = (
    "class Gate(torch.nn.Module):\n"
    "    def __init__(self, size):\n"
    "        super().__init__()\n"
    "        self.weight = torch.nn.Parameter(torch.ones(size))\n"
    "    def forward(self, x):\n"
    "        return x * self.weight\n"
)
COUNT = "def count(text):\n    return len(text.split())\n"
HONEST = {"scale": SCALE, "gate": GATE, "count": COUNT}
ALL = 7
OTHERS = 4  # what `gate` and `count` give whoever attacks in `scale`


def _cell(name: str, source: str, points: int | None = None, solution: bool = False):
    meta = {"grade": points is not None, "grade_id": name, "locked": not solution,
            "schema_version": 3, "solution": solution, "task": False}  # fmt: skip
    meta |= {} if points is None else {"points": points}
    return new_code_cell(f"# id: {name}\n{source}", id=name, metadata={"nbgrader": meta})


def notebook() -> nbformat.NotebookNode:
    """The instructor's version."""
    cells = [new_markdown_cell("# Forge", id="title"), _cell("setup", "import torch")]
    for name, points in (("scale", 3), ("gate", 3), ("count", 1)):
        region = f"### BEGIN SOLUTION\n{HONEST[name]}### END SOLUTION"
        cells.append(_cell(name, region, solution=True))
        cells.append(_cell(f"{name}-check", f"assert {name!r}", points))
    made = new_notebook(cells=cells)
    made.metadata["kernelspec"] = {
        "display_name": "Python 3", "language": "python", "name": "python3",
    }  # fmt: skip
    return made


@dataclass(frozen=True)
class Attack:
    """A submission, and what it must come to.

    Attributes:
        answers: grade_id -> source; nothing for one that is left out.
        first: a cell before all others; `last`: one after them.
        change: what is done to the notebook (a plain dict) before it is written.
        status: one, or several where chance decides.
    """

    group: str
    status: str | tuple[str, ...]
    score: float
    answers: dict[str, str] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    change: Callable[[dict], Any] | None = None


def scale(body: str) -> dict[str, str]:
    """The others right, and this in `scale`."""
    lines = "".join(f"    {line}\n" for line in body.strip().split("\n"))
    return HONEST | {"scale": f"def scale(x, factor):\n{lines}"}


def written(released: dict, attack: Attack) -> dict:
    """The notebook that an attacker hands in."""
    made = copy.deepcopy(released)
    for cell in made["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name in attack.answers:
            cell["source"] = f"# id: {name}\n{attack.answers[name]}"
    for source, place in ((attack.first, 0), (attack.last, len(made["cells"]) + 1)):
        if source:
            made["cells"].insert(place, json.loads(json.dumps(new_code_cell(source))))
    if attack.change:
        made = attack.change(made) or made
    return made


def cell_of(made: dict, name: str) -> dict:
    return next(
        c for c in made["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == name
    )


def _meta(made: dict, **values: Any) -> None:
    for cell in made["cells"]:
        cell["metadata"].get("nbgrader", {}).update(values)


def _outputs(made: dict) -> None:
    value = {"output_type": "execute_result", "data": {"text/plain": "3.0"}, "metadata": {},
             "execution_count": 1}  # fmt: skip
    for cell in made["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [value]


def _add(made: dict, source: str, **meta: Any) -> None:
    about = {"schema_version": 3, "grade": True, "solution": False, "locked": True,
             "task": False, "points": 50} | meta  # fmt: skip
    cell = {"cell_type": "code", "source": source, "metadata": {"nbgrader": about}, "outputs": [],
            "execution_count": None}  # fmt: skip
    made["cells"].append(cell)


def _drop(made: dict, *names: str) -> None:
    gone = [cell_of(made, name) for name in names]
    made["cells"] = [cell for cell in made["cells"] if cell not in gone]


def _twice(made: dict, name: str) -> None:
    made["cells"].append(copy.deepcopy(cell_of(made, name)))


def _without_metadata(made: dict) -> None:
    for cell in made["cells"]:
        cell["metadata"] = {}


def _set(made: dict, name: str, **values: Any) -> None:
    cell_of(made, name).update(values)


#: what stock nbgrader gets wrong: each of these cost somebody points, or gave them away
STOCK = {
    "stock-gradebook": Attack(
        "stock", "student_error", 0,
        first="import sqlite3\n"
        "db = sqlite3.connect(PATH_OF_GRADEBOOK)\n"
        "db.execute('update grade set manual_score = 198'); db.commit()\n",
    ),
    "stock-reads-hidden-tests": Attack(
        "stock", "student_error", OTHERS,
        scale("import os\nfound = In[-1] + str(os.listdir('.'))\nreturn found"),
    ),
    "stock-asserts-off": Attack(
        "stock", "student_error", 0, scale("return None") | {"gate": "Gate = dict",
                                                                 "count": "count = id"},
        first="import ast, builtins\n"
        "class Off(ast.NodeTransformer):\n"
        "    def visit_Assert(self, node): return ast.Pass()\n"
        "get_ipython().ast_transformers.append(Off())\n"
        "real = compile\n"
        "builtins.compile = lambda s, *a, **k: real(s.replace('assert', 'pass #'), *a, **k)\n",
    ),
    "stock-copied-cell": Attack(
        "stock", "graded", ALL, HONEST, change=lambda nb: _twice(nb, "scale-check")
    ),
    "stock-warns": Attack(
        "stock", "graded", ALL,
        scale("import sys, warnings\nwarnings.warn('old')\nprint(' 10%', file=sys.stderr)\n"
              "return x * factor"),
    ),
    "stock-lost-metadata": Attack("stock", "graded", ALL, HONEST, change=_without_metadata),
    "stock-deleted-tests": Attack(
        "stock", "graded", OTHERS, scale("return x"),
        change=lambda nb: _drop(nb, "scale-check", "gate-check", "count-check"),
    ),
    "stock-exits": Attack("stock", "crashed", OTHERS, scale("import os\nos._exit(0)")),
    "stock-endless": Attack("stock", "timeout", OTHERS, scale("while True: pass")),
    "stock-renamed": Attack("stock", "graded", ALL, HONEST),
}  # fmt: skip

EQUAL = (
    "class Yes:\n"
    "    def __eq__(self, other): return True\n"
    "    __ne__ = lambda self, other: False\n"
    "    def __getattr__(self, name): return Yes()\n"
    "    def __call__(self, *a, **k): return self\n"
    "    def __bool__(self): return True\n"
    "    def __rtruediv__(self, other): return 0.5\n"
)
LIAR = (
    "class Liar(torch.Tensor):\n"
    "    @classmethod\n"
    "    def __torch_function__(cls, func, types, args=(), kwargs=None):\n"
    "        return True\n"
    "    def __eq__(self, other): return True\n"
)
GUESS = "torch.full((2, 3), 2.0)"
#: `scale` gives what the first check asks for, whatever is asked: worth 1 and the others
SHOWS = OTHERS + 1

FORGING = {
    "equal-to-all": Attack(
        "forging", "student_error", 0,
        {"scale": EQUAL + "scale = Yes()", "gate": EQUAL + "Gate = lambda size: Yes()",
         "count": EQUAL + "count = Yes()"},
    ),
    "a-lying-tensor": Attack(
        "forging", "graded", OTHERS,
        scale("return torch.zeros(2, 3).as_subclass(Liar)"), first="import torch\n" + LIAR,
    ),
    "a-number-equal-to-all": Attack(
        "forging", "graded", 6,
        HONEST | {"count": "class N(int):\n    __eq__ = lambda s, o: True\n"
                           "    __hash__ = int.__hash__\n"
                           "    __rtruediv__ = lambda s, o: 0.5\ncount = lambda text: N(1)"},
    ),
    "a-number-that-is-text": Attack(
        "forging", "graded", 6,
        HONEST | {"count": "class S(str):\n    __eq__ = lambda s, o: True\n"
                           "    __hash__ = str.__hash__\ncount = lambda text: S('5')"},
    ),
    "a-truth-for-a-number": Attack("forging", "graded", 6, HONEST | {"count": "count = bool"}),
    "a-zero-to-divide-by": Attack(
        "forging", "graded", 6,
        HONEST | {"count": "def count(text):\n    n = len(text.split())\n"
                           "    return n if n > 4 else 0"},
    ),
    "a-number-too-large": Attack(
        "forging", "graded", 6,
        HONEST | {"count": "def count(text):\n    n = len(text.split())\n"
                           "    return n if n > 4 else 10 ** 4000"},
    ),
    "comparisons-patched": Attack(
        "forging", "graded", OTHERS, scale("return x * 0"),
        first="import builtins, torch\n"
        "torch.allclose = torch.equal = torch.Tensor.equal = lambda *a, **k: True\n"
        "torch.Tensor.__eq__ = torch.Tensor.allclose = lambda *a, **k: True\n",
    ),
    "a-worker-that-guesses": Attack(
        "forging", "graded", SHOWS, HONEST,
        last="from autograder.judging.worker import Worker\n"
        "real = Worker.op_call\n"
        "Worker.op_call = lambda self, name, args, kwargs: (\n"
        f"    {GUESS} if name == 'scale' else real(self, name, args, kwargs))\n",
    ),
    "limits-lifted": Attack(
        "forging", "graded", SHOWS, scale(f"return {GUESS}"),
        last="import autograder.judging.wire as wire\n"
        "wire.CHECK_TOLERANCE = 9e9\nwire.MOST_PAGE = 10 ** 12\n",
    ),
    "a-check-result-for-a-value": Attack(
        "forging", "graded", OTHERS,
        scale("return {'earned': 3.0, 'points': 3, 'status': 'graded', 'turn': 5, 'value': x}"),
    ),
    "answers-of-its-own": Attack(
        "forging", "crashed", OTHERS,
        scale("import os\nfrom autograder.judging.wire import encode\n"
              "for turn in range(60):\n"
              f"    os.write(4, encode(dict(turn=turn, value={GUESS}, said='')))\nreturn x"),
    ),
    "an-answer-to-come": Attack(
        "forging", "crashed", OTHERS,
        scale("import os, sys\nfrom autograder.judging.wire import encode\n"
              "f = sys._getframe()\n"
              "while 'request' not in f.f_locals: f = f.f_back\n"
              "turn = f.f_locals['request']['turn'] + 1\n"
              f"os.write(4, encode(dict(turn=turn, value={GUESS}, said='')))\nreturn x"),
    ),
    "precomputed": Attack("forging", "graded", SHOWS, scale(f"return {GUESS}")),
    "knows-the-judge": Attack(
        "forging", ("graded", "student_error"), SHOWS,
        scale("import gc, sys\n"
              "f = sys._getframe()\n"
              "while f:\n"
              "    for v in list(f.f_locals.values()) + list(f.f_globals.values()):\n"
              "        if isinstance(v, dict) and 'expected' in v: return v['expected']\n"
              "    f = f.f_back\n"
              "for o in gc.get_objects():\n"
              "    if type(o) is dict and 'expected' in o and 'student' in o:\n"
              "        return o['expected']\n"
              f"return {GUESS}"),
    ),
    "shows-from-the-judge": Attack(
        "forging", "student_error", OTHERS,
        scale("from autograder.judging.judge import Wrong, expect_tensor\nraise Wrong('right')"),
    ),
    "raises-what-is-wanted": Attack(
        "forging", "graded", OTHERS, scale("raise NotImplementedError('3 of 3 points')")
    ),
    "changes-what-it-was-given": Attack(
        "forging", "graded", OTHERS, scale("x.zero_()\nreturn x")
    ),
    "requires-grad-lies": Attack(
        "forging", ("graded", "student_error"), 4 + 1,
        HONEST | {"gate": "class Gate(torch.nn.Module):\n"
                  "    def __init__(self, size):\n        super().__init__()\n"
                  "        self.weight = torch.nn.Parameter(torch.ones(size))\n"
                  "    def forward(self, x): return x * self.weight.detach()\n"},
    ),
    "gradients-patched": Attack(
        "forging", ("graded", "student_error"), 4 + 1,
        HONEST | {"gate": GATE.replace("self.weight\n", "self.weight.detach()\n")},
        last="torch.autograd.grad = lambda out, of, **k: [torch.ones_like(o) for o in of]\n"
        "torch.optim.SGD.step = lambda self, *a: None\n",
    ),
    "parameters-made-up": Attack(
        "forging", "student_error", 4,
        HONEST | {"gate": GATE.replace("x * self.weight", "x * 2") + (
            "    def named_parameters(self, *a, **k): return iter([('weight', 1)])\n")},
    ),
    "nan": Attack("forging", "graded", OTHERS, scale("return x * float('nan')")),
    "infinite": Attack("forging", "graded", OTHERS, scale("return x / 0")),
    "another-dtype": Attack("forging", "graded", OTHERS, scale("return (x * factor).double()")),
    "right-by-broadcasting": Attack(
        "forging", "graded", OTHERS, scale("return (x * factor)[:1] * 1.0")
    ),
    "a-single-number": Attack("forging", "graded", OTHERS, scale("return factor")),
    "a-sparse-tensor": Attack(
        "forging", "student_error", OTHERS, scale("return (x * factor).to_sparse()")
    ),
    "a-tensor-without-storage": Attack(
        "forging", ("crashed", "student_error"), OTHERS,
        scale("return torch.empty(2, 3, device='meta')"),
    ),
    "a-class-named-tensor": Attack(
        "forging", "graded", OTHERS,
        scale("return Tensor()"),
        first="class Tensor:\n    shape, dtype = (2, 3), 'torch.float32'\n"
        "Tensor.__module__ = 'torch'\n",
    ),
    "prints-points": Attack(
        "forging", "graded", OTHERS, scale("print('3.0')\nprint('✓ 3/3')\nreturn x"),
        last="print('7.0')\ndisplay(7.0)\n7.0",
    ),
    "points-as-a-value": Attack(
        "forging", "graded", OTHERS, HONEST | {"scale": "scale = lambda x, factor: 3.0\n3.0\n"},
        first="import sys\nsys.displayhook = lambda v: print('3.0')\n",
    ),
    "100-points": Attack(
        "forging", "graded", OTHERS, scale("return x"), change=lambda nb: _meta(nb, points=100)
    ),
    "less-than-no-points": Attack(
        "forging", "graded", ALL, HONEST, change=lambda nb: _meta(nb, points=-5, grade=False)
    ),
    "outputs-forged": Attack("forging", "graded", OTHERS, scale("return x"), change=_outputs),
    "manual-points": Attack(
        "forging", "graded", OTHERS, scale("return x"),
        change=lambda nb: _meta(nb, solution=True, grade=True, locked=False),
    ),
    "another-check-of-the-name": Attack(
        "forging", "graded", OTHERS, scale("return x"),
        change=lambda nb: _add(nb, "3.0", grade_id="scale-check"),
    ),
    "a-check-replaced": Attack(
        "forging", "graded", OTHERS, scale("return x"),
        change=lambda nb: _set(nb, "scale-check", source="# id: scale-check\nprint('3.0')\n3.0"),
    ),
    "a-check-of-its-own": Attack(
        "forging", "graded", OTHERS, scale("return x"),
        change=lambda nb: _add(nb, "50.0", grade_id="free-points"),
    ),
    "a-check-made-text": Attack(
        "forging", "graded", OTHERS, scale("return x"),
        change=lambda nb: _set(nb, "scale-check", cell_type="markdown"),
    ),
    "locked-cell-changed": Attack(
        "forging", "graded", ALL, HONEST,
        change=lambda nb: _set(nb, "setup", source="# id: setup\nraise SystemExit"),
    ),
    "bonus-of-its-own": Attack(
        "forging", "graded", OTHERS, scale("return x"),
        change=lambda nb: _add(nb, "1", grade_id="bonus-check", points=9),
    ),
    "the-graders-fault": Attack(
        "forging", "student_error", 0,
        first="import builtins\nbuiltins.__import__ = None\n",
    ),
    "the-graders-fault-by-waiting": Attack(
        "forging", "timeout", 0,
        first="import builtins, time\nsleep = time.sleep\n"
        "builtins.__import__ = lambda *a, **k: sleep(99)\n",
    ),
}  # fmt: skip

HIDDEN = {
    "imports-the-checks": Attack(
        "hidden checks", "student_error", OTHERS,
        scale("from autograder.checks import hw_adapter\nreturn hw_adapter"),
    ),
    "looks-for-the-checks": Attack(
        "hidden checks", "student_error", 0,
        first="import gc, os, sys\n"
        "for o in gc.get_objects():\n"
        "    if isinstance(o, str) and 'hidden-in-the' + '-checks' in o: print(o)\n"
        "for start in ('/tmp', '/var', '/home', '/root', os.path.dirname(PATH_OF_GRADEBOOK)):\n"
        "  for top, _, names in os.walk(start):\n"
        "    for name in names:\n"
        "        if name in ('forge.py', 'forge.ipynb', 'policy.toml') or 'seed' == name:\n"
        "            print('FOUND', top, name)\n",
    ),
    "reads-the-course": Attack(
        "files", "student_error", 0, first="print('FOUND', open(PATH_OF_GRADEBOOK))",
    ),
    "writes-outside": Attack(
        "files", "student_error", 0,
        first="import os, pathlib\n"
        "course = os.path.dirname(PATH_OF_GRADEBOOK)\n"
        "for path in [PATH_OF_GRADEBOOK, course + '/new', course + '/results/forge/honest.json',\n"
        "             '/var/tmp/hostile-mark', '/hostile-mark']:\n"
        "    try: open(path, 'w').write('mine'); print('WROTE', path)\n"
        "    except OSError: pass\n",
    ),
    "plants-a-module": Attack(
        "other students", "graded", OTHERS, scale("return x"),
        first="import os, sys\n"
        "for top in [*sys.path, '/tmp', '/dev/shm', os.getcwd()]:\n"
        "    try: open((top or '.') + '/torch.py', 'w').write('1/0')\n"
        "    except OSError: pass\n",
    ),
    "signals-all": Attack(
        "other students", ("graded", "crashed"), OTHERS,
        scale("import os\nfor n in (-1, 0, 1, 2, 3):\n"
              "    try: os.kill(n, 9)\n    except OSError: pass\nreturn x"),
    ),
    "calls-out": Attack(
        "network", "student_error", OTHERS,
        scale("import socket\nsocket.create_connection(('127.0.0.1', PORT), 1).send(b'x')"),
        first="PORT = PORT_OF_LISTENER",
    ),
}  # fmt: skip

RESOURCES = {
    "forks": Attack(
        "processes", ("timeout", "crashed", "student_error"), OTHERS,
        scale("import os\nwhile True: os.fork()"),
    ),
    "leaves-a-child": Attack(
        "processes", "graded", ALL,
        scale("import subprocess\n"
              "subprocess.Popen(['sleep', '4711'], start_new_session=True)\nreturn x * factor"),
    ),
    "threads": Attack(
        "processes", ("timeout", "crashed", "student_error"), OTHERS,
        scale("import threading, time\n"
              "while True: threading.Thread(target=time.sleep, args=(99,)).start()"),
    ),
    "eats-memory": Attack(
        "memory", "out_of_memory", OTHERS, scale("return [bytearray(10 ** 8) for _ in range(99)]")
    ),
    "eats-memory-by-torch": Attack(
        "memory", "out_of_memory", OTHERS, scale("return torch.ones(10 ** 9)")
    ),
    "fills-the-disk": Attack(
        "memory", ("student_error", "out_of_memory"), OTHERS,
        scale("for n in range(99): open(str(n), 'wb').write(bytes(10 ** 7))"),
    ),
    "prints-without-end": Attack(
        "output", "output_limit", OTHERS, scale("while True: print('x' * 1000)")
    ),
    "prints-in-a-cell": Attack("output", "output_limit", 0, first="print('x' * 10 ** 7)"),
    "a-huge-reply": Attack(
        "output", ("student_error", "crashed"), OTHERS, scale("return 'x' * 10 ** 7")
    ),
    "a-huge-tensor": Attack(
        "output", ("student_error", "crashed"), OTHERS, scale("return torch.ones(2 * 10 ** 6)")
    ),
    "a-deep-reply": Attack(
        "output", "student_error", OTHERS,
        scale("deep = []\nfor _ in range(10 ** 5): deep = [deep]\nreturn deep"),
    ),
    "a-huge-message": Attack(
        "output", "student_error", OTHERS, scale("raise ValueError('x' * 10 ** 7)")
    ),
    "a-cell-without-end": Attack("time", "timeout", ALL, HONEST, last="while True: pass"),
    "catches-all": Attack(
        "time", "timeout", OTHERS,
        scale("while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
    ),
    "sleeps-in-c": Attack(
        "time", "timeout", OTHERS, scale("import ctypes\nctypes.CDLL(None).sleep(99)")
    ),
    "never-found-equal": Attack(
        "time", ("timeout", "graded"), OTHERS,
        scale("return Slow()"),
        first="import time\nclass Slow:\n    def __eq__(self, o): time.sleep(99)\n"
        "    def __reduce__(self): time.sleep(99)\n",
    ),
}  # fmt: skip

HTML = "<script>alert(1)</script>"
ODD = {
    "html-everywhere": Attack(
        "encoding", "student_error", OTHERS, scale(f"print({HTML!r})\nraise ValueError({HTML!r})"),
        last=f"print({HTML!r})\nraise type({HTML!r}, (Exception,), {{}})({HTML!r})",
    ),
    "controls": Attack(
        "encoding", "student_error", OTHERS,
        scale(r"raise ValueError('\x1b[2J\x00\x07\u202e' + chr(0xD800))"),
        last=r"print('\x1b]0;title\x07\x1b[31mred\x00' + chr(0xDFFF))",
    ),
    "half-a-character-in-the-source": Attack(
        "encoding", "graded", OTHERS, scale("return '\ud800'"),
    ),
    "zero-in-the-source": Attack("encoding", "student_error", OTHERS, scale("return '\0'")),
    "a-class-named-by-a-control": Attack(
        "encoding", "student_error", OTHERS,
        scale(r"return type('\x1b[31m\ud800' + '<b>', (), {})()"),
    ),
    "markup": Attack("encoding", "student_error", OTHERS, scale("raise KeyError('[/red] $x^2$')")),
    "leaves-the-worker": Attack(
        "runner", "crashed", OTHERS, scale("import os\nos.closerange(3, 99)\nreturn x")
    ),
    "runner-cleared": Attack(
        "runner", ("crashed", "graded", "student_error"), OTHERS,
        scale("import sys\nsys.modules.clear()\nimport builtins\n"
              "builtins.__dict__.clear()\nreturn x"),
    ),
    "trace-set": Attack(
        "runner", "graded", OTHERS,
        scale("return x"), first="import sys\nsys.settrace(lambda *a: None)\n",
    ),
    "exits-with-a-status": Attack(
        "runner", "out_of_memory", OTHERS, scale("import os\nos._exit(101)")
    ),
    "calls-itself": Attack(
        "runner", ("student_error", "crashed"), OTHERS, scale("return scale(x, factor)")
    ),
}  # fmt: skip

INTAKE = {
    "answers-as-text": Attack(
        "intake", "graded", ALL, HONEST, change=lambda nb: _set(nb, "scale", cell_type="markdown")
    ),
    "too-many-cells": Attack(
        "intake", "student_error", 0, HONEST,
        change=lambda nb: nb["cells"].extend([{"cell_type": "markdown", "source": "",
                                              "metadata": {}}] * 5000),
    ),
    "no-cells": Attack("intake", "student_error", 0, change=lambda nb: nb["cells"].clear()),
    "cells-of-another-kind": Attack(
        "intake", "student_error", 0, change=lambda nb: nb["cells"].append(7)
    ),
    "metadata-of-another-kind": Attack(
        "intake", "graded", ALL, HONEST,
        change=lambda nb: nb["cells"].append(
            {"cell_type": "code", "source": ["1", 2], "metadata": {"nbgrader": {"grade_id": [1]},
             "tags": [3]}, "outputs": 5, "execution_count": {}}),
    ),
    "an-answer-twice": Attack(
        "intake", "graded", ALL, HONEST, change=lambda nb: _twice(nb, "scale")
    ),
    "answers-lost": Attack(
        "intake", "student_error", OTHERS, HONEST, change=lambda nb: _drop(nb, "scale")
    ),
    "attachments-and-widgets": Attack(
        "intake", "graded", ALL, HONEST,
        change=lambda nb: nb["metadata"].update(widgets={"a": "x" * 10**5}, language_info=[]),
    ),
}  # fmt: skip

CLASS = STOCK | FORGING | HIDDEN | RESOURCES | ODD | INTAKE
HONEST_ONES = ("a-honest", "m-honest", "z-honest")
