"""What to look at in code that tunes a PLM, and what it shows there: the machinery of bug hunts.

Code with a mistake in it mostly runs, and its loss mostly falls a little. A *probe* looks at one
thing that should hold whatever the task is: how many numbers train, whether the output has changed
before training, which parameters moved, which tokens a module looks at. What it finds is a
`Finding`: what was expected and what was got. `bug_hunt` makes a check of a function that returns
findings.

    @bug_hunt
    def check_my_adapter(adapter_class):
        adapter = adapter_class(16, 4)
        return "It starts as the identity.", [
            Finding("largest |Δh| at the start", "0", number(largest(adapter(h) - h)), ...),
        ]

The probes know nothing of any particular exercise, and take any module whose output has `.logits`
and, for labels, `.loss`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.plm.load import seeded
from course_utils.show.exercises.verdict import NotYet, Verdict

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: what was looked at.
        expected, got: in words or numbers, short.
        fine: whether the two agree.
        given: whether this symptom belongs to the code as it was handed out.
    """

    what: str
    expected: str
    got: str
    fine: bool
    given: bool = False


def bug_hunt(check: Callable[..., tuple[str, Sequence[Finding]]]) -> Callable[..., Verdict]:
    """Turns a function that returns (what is now known, findings) into a check that never raises.

    The verdict is "right" if all findings are fine, and "open" while nothing but what was wrong
    from the beginning is wrong. If something else went wrong on the way it is "not yet". The
    findings are listed under it, expected beside got.
    """

    @functools.wraps(check)
    def checked(answer, *more) -> Verdict:
        if answer is ...:
            return Verdict("open", "Replace the ... by your answer and run the cell again.")
        try:
            learnt, findings = check(answer, *more)
        except NotImplementedError:
            return Verdict("open", "Replace the raise line by your code and run the cell again.")
        except (NotYet, CourseError) as advice:
            return Verdict("not yet", str(advice))
        except Exception as error:  # a student's code may raise anything; say it, don't stop
            return Verdict("not yet", f"Your code raised {type(error).__name__}: {error}")
        return _verdict(learnt, findings)

    return checked


def _verdict(learnt: str, findings: Sequence[Finding]) -> Verdict:
    wrong = [finding for finding in findings if not finding.fine]
    if not wrong:
        return Verdict("right", f"{learnt}\n{table(findings)}")
    if all(finding.given for finding in wrong):
        said = "The mistake is still in. What it does:"
        return Verdict("open", f"{said}\n{table(findings)}")
    named = " and ".join(f'"{finding.what}"' for finding in wrong)
    return Verdict("not yet", f"Look at {named}:\n{table(findings)}")


def table(findings: Sequence[Finding]) -> str:
    """The findings as lines of equal columns; what does not agree has an arrow."""
    rows = [("look at", "expected", "got", "")]
    rows += [(f.what, f.expected, f.got, "" if f.fine else "<--") for f in findings]
    widths = [max(len(row[i]) for row in rows) + 2 for i in range(3)]
    return "\n".join(
        ("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + row[3])
        .rstrip()
        for row in rows
    )  # fmt: skip


def number(value: float) -> str:
    """A number as a finding shows it: 0, 0.0003, 0.69, 1,234."""
    if value == 0:
        return "0"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:.2f}"


# The probes.


def trained(model: nn.Module) -> dict[str, int]:
    """The parameters an optimizer would move: name -> how many numbers."""
    return {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}


def trained_count(model: nn.Module, part: str = "") -> int:
    """How many numbers train in the submodules whose name ends in `part`; in all for ""."""
    if not part:
        return sum(trained(model).values())
    inside = {
        id(p)
        for name, module in model.named_modules()
        if name.split(".")[-1] == part
        for p in module.parameters()
    }
    return sum(p.numel() for p in model.parameters() if p.requires_grad and id(p) in inside)


@torch.no_grad()
def answers(model: nn.Module, batch: Batch) -> Tensor:
    """The logits, dropout off: (B, n_labels)."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with evaluating(model):
        return model(**inputs).logits.clone()


def largest(difference: Tensor) -> float:
    """The largest absolute value."""
    return float(difference.detach().abs().max())


def losses(model: nn.Module, batch: Batch, steps: int = 60, rate: float = 1e-2) -> list[float]:
    """Trains what requires a gradient on one batch, with AdamW; the loss at every step.

    Nothing to train gives a loss that never changes. Torch's own random state is left alone.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=rate) if parameters else None
    found = []
    with seeded(0):
        for _ in range(steps):
            loss = model(**batch).loss
            found.append(loss.item())
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return found


def moved(model: nn.Module, batch: Batch, steps: int = 10) -> set[str]:
    """Names of the parameters that are other numbers after some steps of training."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    losses(model, batch, steps)
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


@torch.no_grad()
def looks_at(module: nn.Module, x: Tensor) -> Tensor:
    """Which places each place of the output depends on, found by changing one place at a time.

    The module's parameters are drawn anew for it, since a matrix of zeros hides everything.

    Args:
        x: (B, T, d).

    Returns:
        (T, T) of bool: row t is true where place t of the output looks at the input.
    """
    kept = {name: p.detach().clone() for name, p in module.named_parameters()}
    with seeded(0), evaluating(module):
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
        base, rows = module(x), []
        for place in range(x.shape[1]):
            changed = x.clone()
            changed[:, place] += torch.randn(x.shape[-1])
            rows.append((module(changed) - base).abs().amax((0, 2)) > 1e-5)  # (T,)
    for name, parameter in module.named_parameters():
        parameter.copy_(kept[name])
    return torch.stack(rows, dim=1)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode, for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


# Something small to hunt in.

WIDTH, TOKENS, LABEL_WORDS = 16, 8, (7, 8)


def small_plm(seed: int = 0) -> nn.Module:
    """A BERT of two layers with a classifier, in eval mode, its numbers drawn from the seed."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=20,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=16,
        initializer_range=0.3,
    )
    with seeded(seed):
        return BertForSequenceClassification(config).eval()


def small_batch() -> dict[str, Tensor]:
    """32 texts of 8 tokens; label 0 has word 7 somewhere, label 1 has word 8, evenly many."""
    with seeded(0):
        ids = torch.randint(9, 20, (32, TOKENS))
        labels = torch.arange(32) % 2
        places = torch.randint(1, TOKENS, (32,))
    ids[torch.arange(32), places] = torch.tensor(LABEL_WORDS)[labels]
    ids[:, 0] = 1
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
