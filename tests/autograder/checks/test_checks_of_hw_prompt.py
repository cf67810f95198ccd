"""HW-Prompt's checks: the instructor's version passes every draw, usual mistakes fail one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nbformat
import pytest

from autograder.checks import checks_of
from autograder.judging.judge import Draw, Wrong, judge
from autograder.judging.student import Student, StudentError
from course_utils.errors import CourseError

SOURCE = Path(__file__).parents[3] / "assignments" / "source" / "hw_prompt" / "hw_prompt.ipynb"
CHECKS = checks_of("hw_prompt").all
POINTS = {"fill-template": 6, "label-scores": 8, "label-probabilities": 6, "soft-prompt": 7,
          "extend-batch": 6, "prompted-logits": 7}  # fmt: skip
DRAWS = 20


def cells() -> dict[str, str]:
    """grade_id -> source of the setup and of the answers, as the instructor wrote them."""
    found = {}
    for cell in nbformat.read(SOURCE, as_version=4).cells:
        meta = cell.metadata.get("nbgrader", {})
        if meta.get("grade_id") == "setup" or meta.get("solution"):
            found[meta["grade_id"]] = cell.source
    return found


@pytest.fixture(scope="module")
def right(tmp_path_factory, connect):
    student = Student(connect(tmp_path_factory.mktemp("right")), seconds=60)
    ran = student.run(list(cells().items()))
    assert not any(cell.kind for cell in ran), ran
    yield student
    student.close()


def test_points_are_those_of_the_exercises():
    assert {name: checks_of("hw_prompt").points_of(name) for name in POINTS} == POINTS
    assert set(Counter(check.exercise for check in CHECKS)) == set(POINTS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.exercise}: {c.name}")
def test_the_instructors_version_passes_on_every_draw(right, check):
    for number in range(DRAWS):
        check.run(right, Draw(f"{number}/{check.name}"))
    right.forget()


# exercise, what is changed in the right answer, into what, and checks that must not pass then
MISTAKES = [
    ("fill-template", "premise.strip().rstrip(\".?! \")", "premise", "takes blanks"),
    ("fill-template", ".rstrip(\".?! \")\n    hypothesis", "\n    hypothesis", "takes blanks"),
    ("fill-template", "if template.count(\"{mask}\") != 1", "if False", "refuses"),
    ("fill-template", "raise ValueError(", "raise KeyError(", "refuses"),
    ("fill-template",
     "return template.format(premise=premise, hypothesis=hypothesis, mask=mask_token)",
     "return (template.replace('{premise}', premise).replace('{hypothesis}', hypothesis)"
     ".replace('{mask}', mask_token))", "leaves braces"),
    ("fill-template", "mask=mask_token)", "mask='[MASK]')", "takes blanks"),
    ("label-scores", ".mean(dim=-1)", ".sum(dim=-1)", "gives the mean"),
    ("label-scores", "logits[rows, mask_positions]", "logits[:, 0]", "gives the mean"),
    ("label-scores", "at_gap[:, words]", "at_gap.detach()[:, words]", "lets gradients"),
    ("label-scores", "at_gap[:, words].mean(dim=-1)", "at_gap[:, words].float().mean(dim=-1)",
     "keeps the dtype"),
    ("label-scores", "rows = ", "logits[0, 0, 0] = 0.5\n    rows = ", "leaves logits"),
    ("label-probabilities", "softmax(dim=-1)", "softmax(dim=0)", "gives probabilities"),
    ("label-probabilities", "scores = scores - content_free", "scores = scores + content_free",
     "divides"),
    ("label-probabilities", "scores = scores - content_free", "pass", "divides"),
    ("label-probabilities", "return scores.softmax(dim=-1)",
     "return scores.exp() / scores.exp().sum(-1, keepdim=True)", "stands scores"),
    ("label-probabilities", "return scores.softmax", "return scores.detach().softmax",
     "lets gradients"),
    ("label-probabilities", "scores = scores - content_free", "scores -= content_free",
     "lets gradients"),
    ("soft-prompt", "nn.Parameter(rows.detach().clone())", "nn.Parameter(rows.detach())",
     "shares no memory"),
    ("soft-prompt", "word_embeddings.weight[start : start + length]",
     "word_embeddings.weight[:length]", "has one parameter"),
    ("soft-prompt", "nn.Parameter(rows.detach().clone())",
     "nn.Parameter(rows.detach().clone(), requires_grad=rows.requires_grad)",
     "has one parameter"),
    ("soft-prompt", "torch.cat([prompt, inputs_embeds], dim=1)",
     "torch.cat([inputs_embeds, prompt], dim=1)", "puts the prompt"),
    ("soft-prompt", "prompt = self.prompt.expand", "prompt = self.prompt.detach().expand",
     "shares no memory"),
    ("soft-prompt", "if len(rows) < length", "if False", "refuses more rows"),
    ("soft-prompt", "self.prompt = ", "self.words = word_embeddings\n        self.prompt = ",
     "has one parameter"),
    ("extend-batch", '"labels": -100', '"labels": 0', "makes room"),
    ("extend-batch", '"attention_mask": 1', '"attention_mask": 0', "makes room"),
    ("extend-batch", "[extra, batch[name]]", "[batch[name], extra]", "makes room"),
    ("extend-batch", 'batch["mask_positions"] + length', 'batch["mask_positions"]',
     "moves the gap"),
    ("extend-batch", "longer = dict(batch)", "longer = batch", "gives a new dict"),
    ("extend-batch", "longer = dict(batch)", "longer = {}", "moves the gap"),
    ("extend-batch", "batch[name].new_full((batch[name].size(0), length), value)",
     "torch.full((batch[name].size(0), length), value)", "keeps dtypes"),
    ("prompted-logits", "words = model.get_input_embeddings()(input_ids)",
     "words = model.bert.embeddings(input_ids)", "BERT reads"),
    ("prompted-logits", "model.get_input_embeddings()", "model.bert.embeddings.word_embeddings",
     "works with RoBERTa"),
    ("prompted-logits", "attention_mask=mask", "attention_mask=None", "BERT reads"),
    ("prompted-logits", "soft_prompt(words)", "soft_prompt(words).detach()", "lets gradients"),
    ("prompted-logits", ".logits", ".logits[:, 1:]", "BERT reads"),
]  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory, connect):
    """A worker on which answers are tried, the right ones put back after each."""
    student = Student(connect(tmp_path_factory.mktemp("bench")), seconds=60)
    student.run(list(cells().items()))
    yield student
    student.close()


def failing(student, exercise) -> set[str]:
    found = set()
    for check in CHECKS:
        if check.exercise == exercise:
            for number in range(3):  # a mistake may be right by chance on one draw
                try:
                    check.run(student, Draw(f"{number}/{check.name}"))
                except (Wrong, StudentError):
                    found.add(check.name)
    return found


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m[0]}: {m[2][:30]}")
def test_usual_mistakes_fail_their_check(bench, mistake):
    exercise, old, new, must_fail = mistake
    source = cells()[exercise]
    assert source.count(old) >= 1, "the mistake is made in the answer as it stands"
    (ran,) = bench.run([(exercise, source.replace(old, new))])
    try:
        failed = failing(bench, exercise)
    finally:
        bench.run([(exercise, source)])
    assert ran.kind == ""
    assert any(name.startswith(must_fail) for name in failed), failed


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.exercise}: {c.name}")
def test_every_check_is_failed_by_some_mistake(check):
    mistakes = [m for m in MISTAKES if m[0] == check.exercise and check.name.startswith(m[3])]
    written = {"writes both texts", "works for one text"}  # basics, which every answer has to pass
    assert mistakes or any(check.name.startswith(name) for name in written)


def test_a_stub_has_nothing_and_every_message_says_so(tmp_path, connect):
    stubs = {name: source if name == "setup" else _stub(source) for name, source in cells().items()}
    judgement = judge(lambda: Student(connect(tmp_path), seconds=60), list(stubs.items()), CHECKS)
    assert judgement.earned == 0
    assert judgement.most == sum(POINTS.values())
    assert {outcome.message for outcome in judgement.outcomes} == {"not written yet"}


def _stub(source: str) -> str:
    """The answer as students get it."""
    kept, inside = [], False
    for line in source.splitlines():
        if "BEGIN SOLUTION" in line:
            kept.append(line.split("#")[0] + "raise NotImplementedError()")
            inside = True
        elif "END SOLUTION" in line:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def test_unknown_homework():
    with pytest.raises(CourseError, match="Did you mean 'hw_prompt'"):
        checks_of("hw_promt")
