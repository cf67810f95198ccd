"""Steps 1 to 4: one pocket model and one pocket task, from a gap to a trained method."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import fmean, median

from rich.markup import escape
from rich.table import Table

from course_utils.demo.stage import Demo

TASK = "pocket/sst2"
PLM = "pocket-bert-base"


def fill_a_gap(demo: Demo) -> None:
    """A review, a gap, and what the model would write there."""
    from course_utils.plm import load_plm
    from course_utils.prompting import PromptModel, fill_mask
    from course_utils.tasks import load_task

    with demo.progress(3) as part:
        part("loading the model")
        model, tokenizer = load_plm(PLM)
        part("loading the task")
        task = load_task(TASK)
        part("asking")
        example = task.split("dev")[0]
        prompt = PromptModel.for_task(model, tokenizer, task)
        text = task.prompts[0].template.format(**example, mask=tokenizer.mask_token)
        words = fill_mask(model, tokenizer, text)
        answer = prompt.predict([example])
    demo.say(f"  {escape(text)}")
    for word, probability in words:
        demo.say(f"  {probability:6.1%}  {'█' * round(probability * 40)} {escape(word)}")
    shares = zip(answer.labels, answer.probabilities[0].tolist(), strict=True)
    said = ", ".join(f"{share:.0%} {label}" for label, share in shares)
    demo.say(f"  Through the verbalizer: {said}. The label is {task.labels[example['label']]}.")


def without_training(demo: Demo) -> None:
    """Zero-shot: the same gap, several wordings, no example."""
    from course_utils.evaluation import evaluate
    from course_utils.plm import load_plm
    from course_utils.prompting import PromptModel

    task = _task(demo)
    model, tokenizer = load_plm(PLM)
    table = Table("prompt", "words", "accuracy", box=None)
    scores, seconds = [], time.perf_counter()
    with demo.progress(len(task.prompts)) as part:
        for which, prompt in enumerate(task.prompts):
            part(prompt.template)
            asked = PromptModel.for_task(model, tokenizer, task, which)
            scores.append(evaluate(asked, task, "test", tokenizer=tokenizer).score)
            words = " / ".join(w[0] for w in prompt.words.values())
            new = " (never seen in pre-training)" if prompt.held_out else ""
            table.add_row(escape(prompt.template) + new, escape(words), f"{scores[-1]:.3f}")
    demo.console.print(table)
    majority = demo.references["majority"] = task.majority("test")
    demo.say(f"  Median {median(scores):.3f}; always the commonest label {majority:.3f}.")
    demo.rows.append(
        ("zero-shot (median prompt)", 0, 0, median(scores), time.perf_counter() - seconds)
    )


def few_examples(demo: Demo) -> None:
    """16 per class: through the prompt, with a new head, and without any pre-training."""
    from course_utils.plm import load_plm
    from course_utils.prompting import PromptModel

    seeds = (0,) if demo.quick else (0, 1, 2)
    kinds = ("prompt-based", "new head", "no pre-training")
    with demo.progress(len(seeds) * len(kinds)) as part:
        for kind in kinds:
            for seed in seeds:
                part(f"16 per class, {kind}, draw {seed}")
                task = _task(demo).subset(per_class=16, seed=seed)
                task = task.subset(per_class=16, seed=seed, split="dev")
                if kind == "prompt-based":
                    model, tokenizer = load_plm(PLM, seed=seed)
                    model = PromptModel.for_task(model, tokenizer, task)
                else:
                    model, tokenizer = load_plm(
                        PLM,
                        head="classifier",
                        labels=task.labels,
                        pretrained=kind == "new head",
                        seed=seed,
                    )
                _run(demo, f"16-shot, {kind}", model, tokenizer, task, seed)
    means = {}
    for kind in kinds:
        scores = [r[3] for r in demo.rows if r[0] == f"16-shot, {kind}"]
        means[kind] = fmean(scores)
        demo.say(f"  {kind:<16} {means[kind]:.3f}  (mean of {len(scores)})")
    before = next((r[3] for r in demo.rows if r[0].startswith("zero-shot")), None)
    if before is not None and means["prompt-based"] <= before:
        demo.say(
            f"  The prompt knew its answers before ({before:.3f}): so few examples add nothing to "
            "them. A new head has to learn everything from these."
        )


def few_parameters(demo: Demo) -> None:
    """Many examples, one prompt; what is trained differs."""
    from course_utils.plm import load_plm
    from course_utils.prompting import PromptModel
    from course_utils.tuning import FullFineTuning, LoRA, SoftPrompt, attach

    task = _task(demo).subset(demo.examples)
    methods = (SoftPrompt(length=10), LoRA(rank=4), FullFineTuning())
    with demo.progress(len(methods) + 1) as part:
        for method in methods:
            name = type(method).__name__
            part(f"{name}, {demo.examples} examples")
            model, tokenizer = load_plm(PLM)
            tuned = PromptModel.for_task(attach(model, method), tokenizer, task)
            _run(demo, name, tuned, tokenizer, task)
        part(f"no pre-training, {demo.examples} examples")
        model, tokenizer = load_plm(PLM, head="classifier", labels=task.labels, pretrained=False)
        control = _run(demo, "no pre-training", model, tokenizer, task)
    demo.references["no pre-training"] = control
    _compare(demo)


def _task(demo: Demo):
    """The task with a smaller test set, so that a score takes a second."""
    from course_utils.tasks import load_task

    task = load_task(TASK)
    for split in ("test", "dev"):
        count = min(demo.tests, len(task.split(split)))
        task = task.subset(count, split=split)
    return task


def _run(demo: Demo, name: str, model, tokenizer, task, seed: int = 0) -> float:
    """Train, test, keep the record; returns the test accuracy."""
    from course_utils.evaluation import evaluate
    from course_utils.training import train

    result = train(
        model, task, tokenizer=tokenizer, settings=demo.settings(seed), plm=PLM, progress=False
    )
    test = evaluate(result.model, task, "test", tokenizer=tokenizer)
    notes = {**result.record.notes, "pretrained": "no pre-training" not in name}
    record = replace(
        result.record,
        notes=notes,
        split="test",
        score=test.score,
        n=test.n,
        majority=test.majority,
        interval=test.interval,
    )
    file = name.replace(",", "").replace(" ", "-").lower()
    record.write(demo.output / "records" / f"{file}-seed{seed}.record.json")
    row = (name, record.train_examples, record.trainable, test.score, record.seconds)
    demo.rows.append(row)
    return test.score


def _compare(demo: Demo) -> None:
    """The table, and the chart of accuracy against trained parameters."""
    from course_utils.show import accuracy_vs_parameters

    table = Table("", box=None)
    for column in ("examples", "trained", "accuracy", "seconds"):
        table.add_column(column, justify="right")
    for name in dict.fromkeys(row[0] for row in demo.rows):
        runs = [row for row in demo.rows if row[0] == name]
        _, examples, trained, _, _ = runs[0]
        score, seconds = fmean(r[3] for r in runs), fmean(r[4] for r in runs)
        table.add_row(name, f"{examples:,}", f"{trained:,}", f"{score:.3f}", f"{seconds:.0f}")
    demo.console.print(table)
    points = [
        {"method": name, "trainable": trained, "score": score}
        for name, _, trained, score, _ in demo.rows
        if "no pre-training" not in name
    ]
    chart = accuracy_vs_parameters(
        points,
        majority=demo.references.get("majority"),
        no_pretraining=demo.references.get("no pre-training"),
        title=f"{TASK}, {PLM} (pocket model)",
    )
    path = demo.output / "accuracy-against-parameters.png"
    path.write_bytes(chart.png())
    demo.made += [("chart", path), ("records of the runs", demo.output / "records")]
