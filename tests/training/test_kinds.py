"""Every kind of task, trained: each learns a rule that only the right input and labels give."""

from __future__ import annotations

import random

import small_tasks as small
import torch
from datasets import Dataset

from course_utils.evaluation import evaluate
from course_utils.settings import TrainSettings
from course_utils.tasks import Task
from course_utils.training import train

TOKENIZER = small.tokenizer()


def dataset(rows):
    return Dataset.from_dict({key: [row[key] for row in rows] for key in rows[0]})


def trained(model, task, tokenizer=TOKENIZER, **settings):
    chosen = TrainSettings(
        **{"batch_size": 16, "learning_rate": 5e-3, "precision": "float32", **settings}
    )
    train(model, task, tokenizer=tokenizer, settings=chosen, progress=False)
    return evaluate(model, task, "dev", tokenizer=tokenizer)


def test_tagging_with_the_verb():
    """Both verbs are in every sentence; the repeated one says if its argument is first or last."""
    draw = random.Random(0)

    def row():
        middle = ["runs", "eats"]
        draw.shuffle(middle)
        words = [draw.choice(["city", "food"]), *middle, draw.choice(["plot", "film"])]
        verb = draw.choice([1, 2])
        first = words[verb] == "runs"
        return {
            "tokens": words,
            "verb_index": verb,
            "tags": [int(first), 0, 0, int(not first)],
        }

    rows = [row() for _ in range(240)]
    splits = {"train": dataset(rows[:200]), "dev": dataset(rows[200:])}
    columns = ("tokens", "verb_index")
    task = Task("small/srl", "tagging", columns, ("O", "B-ARG0"), "seqeval_f1", splits)
    assert trained(small.bert("tagger", dropout=0.0), task, epochs=8).score > 0.9


def test_choice():
    """The choice with the good word is right, wherever it stands."""
    draw = random.Random(0)

    def row():
        pair = [draw.choice(small.GOOD), draw.choice(small.BAD)]
        draw.shuffle(pair)
        return {
            "premise": draw.choice(small.FILLER),
            "choice1": pair[0],
            "choice2": pair[1],
            "question": "cause",
            "label": int(pair[1] in small.GOOD),
        }

    rows = [row() for _ in range(120)]
    columns = ("premise", "choice1", "choice2", "question")
    splits = {"train": dataset(rows[:80]), "dev": dataset(rows[80:])}
    task = Task("small/copa", "choice", columns, ("choice1", "choice2"), "accuracy", splits)
    assert trained(small.bert("choice", dropout=0.0), task, epochs=8).score > 0.9


def test_generation():
    """Two tables, two sentences, learnt by heart: prompt, target and end are where they belong."""
    rows = [
        {"meaning_representation": "name city", "human_reference": "the city is dear with food"},
        {"meaning_representation": "name film", "human_reference": "a film was superb and fine"},
    ]
    splits = {"train": dataset(rows * 8), "dev": dataset(rows)}
    columns = ("meaning_representation", "human_reference")
    task = Task("small/e2e", "generation", columns, (), "bleu", splits)
    result = trained(small.gpt2(), task, small.tokenizer(causal=True), epochs=30)
    assert result.predictions == [row["human_reference"] for row in rows]


def test_regression():
    """The number is how many good words there are."""
    draw = random.Random(0)

    def row():
        count = draw.randint(0, 4)
        words = draw.choices(small.GOOD, k=count) + draw.choices(small.FILLER, k=4 - count)
        return {"sentence": " ".join(words), "label": float(count)}

    rows = [row() for _ in range(200)]
    splits = {"train": dataset(rows[:160]), "dev": dataset(rows[160:])}
    task = Task("small/count", "regression", ("sentence",), (), "pearson", splits)
    model = small.bert(num_labels=1, dropout=0.0)
    assert trained(model, task, epochs=8).score > 0.8


def test_through_a_prompt_with_soft_tokens_only():
    """The PLM stays frozen, the soft tokens of the template are all that is trained."""
    from course_utils.prompting import PromptModel

    plm = small.bert("lm")
    plm.requires_grad_(False)
    words = {"negative": "bad", "positive": "good"}
    template = "{soft:4} {sentence} {mask}"
    task = small.sentiment(160)
    model = PromptModel(plm, TOKENIZER, template, words, labels=task.labels, soft="random", seed=0)
    before = {name: p.clone() for name, p in model.named_parameters()}
    settings = TrainSettings(epochs=2, learning_rate=1e-2, keep="last", precision="float32")
    result = train(model, task, tokenizer=TOKENIZER, settings=settings, progress=False)
    assert result.record.trainable == 4 * 16
    moved = {n for n, p in model.named_parameters() if not torch.equal(p.cpu(), before[n])}
    assert moved
    assert all(name.startswith("soft") for name in moved)
