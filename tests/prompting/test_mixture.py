"""The mixture of prompted tasks: how often each task is seen, in which words, with which loss."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from datasets import Dataset
from torch.nn import functional as F

from course_utils.errors import CourseError
from course_utils.prompting.mixture import MixedPrompts, draw_mixture, mixture_task, shares
from course_utils.tasks.batches import Collator
from course_utils.tasks.task import Prompt, Task

TONE = {"negative": ("bad", "terrible"), "positive": ("great", "good")}
TOPIC = {"weather": "rain", "place": "town", "animal": "dog"}
PROMPTS = (
    (Prompt("{text} it was {mask} .", TONE), Prompt("{mask} , {text}", TONE)),
    (Prompt("{text} is {mask}", TOPIC),),
)


def make_task(name, labels, count, unlabelled=0):
    rows = [{"text": f"the film and {'joy ' * (i % 5)}", "label": i % labels} for i in range(count)]
    rows += [{"text": "no", "label": -1}] * unlabelled
    return Task(
        name=name,
        kind="classification",
        columns=("text",),
        labels=tuple((TONE, TOPIC)[labels - 2]),
        metric="accuracy",
        splits={"train": Dataset.from_list(rows), "dev": Dataset.from_list(rows[:6])},
    )


@pytest.fixture
def tasks():
    return [make_task("small/tone", 2, 40), make_task("small/topic", 3, 9, unlabelled=4)]


class TestShares:
    def test_by_examples_up_to_the_cap(self):
        # FLAN's cap of 3,000: 10,000 count as 3,000; 3,000 + 500 + 1,500 = 5,000
        assert shares([10_000, 500, 1_500], 3000) == pytest.approx([0.6, 0.1, 0.3])
        assert shares([10_000, 500, 1_500], 10**6) == pytest.approx([5 / 6, 1 / 24, 1 / 8])

    def test_a_low_cap_makes_all_alike(self):
        assert shares([10_000, 500], 100) == [0.5, 0.5]

    def test_the_draw_keeps_them(self, tasks):
        rows = draw_mixture(tasks, [2, 1], cap=18)
        counts = Counter(row["task"] for row in rows)
        assert counts == {0: 18, 1: 9}  # the four rows without a label are no examples
        assert [counts[i] / 27 for i in range(2)] == pytest.approx(shares([40, 9], 18))


class TestDraw:
    def test_no_example_twice_in_a_pass_and_every_prompt_used(self, tasks):
        rows = draw_mixture(tasks, [2, 1], cap=30, seed=1)
        places = [(row["task"], row["row"]) for row in rows]
        assert len(set(places)) == len(places)
        assert {row["prompt"] for row in rows if row["task"] == 0} == {0, 1}
        assert {row["prompt"] for row in rows if row["task"] == 1} == {0}

    def test_labels_are_the_examples_own(self, tasks):
        for row in draw_mixture(tasks, [2, 1], cap=30):
            assert row["label"] == tasks[row["task"]].split("train")[row["row"]]["label"]

    def test_tasks_are_mixed_not_one_after_the_other(self, tasks):
        order = [row["task"] for row in draw_mixture(tasks, [2, 1], cap=9)]
        assert order != sorted(order)

    def test_each_pass_is_drawn_anew_and_the_seed_decides(self, tasks):
        twice = draw_mixture(tasks, [2, 1], cap=10, passes=2, seed=3)
        assert len(twice) == 2 * 19
        assert twice[:19] == draw_mixture(tasks, [2, 1], cap=10, seed=3)
        assert {r["row"] for r in twice[:19] if r["task"] == 0} != {
            r["row"] for r in twice[19:] if r["task"] == 0
        }
        assert draw_mixture(tasks, [2, 1], cap=10, seed=4) != twice[:19]


class TestMixedPrompts:
    @pytest.fixture
    def mixed(self, bert_model, bert, tasks):
        return MixedPrompts(bert_model, bert, tasks, PROMPTS)

    @pytest.fixture
    def rows(self, tasks):
        return draw_mixture(tasks, [2, 1], cap=8)

    def test_a_row_is_read_as_its_prompt_reads_it(self, mixed, tasks, rows):
        for row in rows:
            template = PROMPTS[row["task"]][row["prompt"]].template
            text = tasks[row["task"]].split("train")[row["row"]]["text"]
            whole = mixed.tokenizer(template.format(text=text.strip(), mask="[MASK]"))
            assert mixed.encode(row)["input_ids"] == whole["input_ids"]

    def test_the_answer_is_a_word_of_the_label_and_every_word_is_learnt(self, mixed, tasks):
        seen = set()
        for row in draw_mixture(tasks, [2, 1], cap=40):
            (word,) = mixed.tokenizer.convert_ids_to_tokens([mixed.encode(row)["answer"]])
            words = PROMPTS[row["task"]][row["prompt"]].words
            label = list(words)[row["label"]]
            assert word in ([words[label]] if isinstance(words[label], str) else words[label])
            seen.add(word)
        assert seen == {"bad", "terrible", "great", "good", "rain", "town", "dog"}

    def test_the_loss_is_that_of_the_plain_model_on_the_answer(self, mixed, bert_model, rows):
        encoded = [mixed.encode(row) for row in rows]
        output = mixed(**Collator(0)(encoded))
        losses = []
        for one in encoded:
            (at,) = one["mask_positions"]
            logits = bert_model(torch.tensor([one["input_ids"]])).logits[0, at]
            losses.append(F.cross_entropy(logits, torch.tensor(one["answer"])).item())
        assert output.loss.item() == pytest.approx(sum(losses) / len(losses), abs=1e-4)

    def test_scores_are_those_of_each_prompt_alone(self, mixed, rows):
        answers = mixed.predict(rows).scores
        for row, scores in zip(rows, answers, strict=True):
            alone = mixed.prompt_of(row).predict([mixed.example(row)]).scores[0]
            torch.testing.assert_close(scores[: len(alone)], alone, atol=1e-4, rtol=1e-4)
            assert (scores[len(alone) :] == -torch.inf).all()

    def test_a_causal_plm_too(self, gpt2_model, gpt2, tasks):
        prompts = [[Prompt("{text} it was {mask}", TONE)], [Prompt("{text} is {mask}", TOPIC)]]
        mixed = MixedPrompts(gpt2_model, gpt2, tasks, prompts)
        rows = draw_mixture(tasks, [1, 1], cap=3)
        answers = mixed.predict(rows).scores
        row, scores = rows[0], answers[0]
        alone = mixed.prompt_of(row).predict([mixed.example(row)]).scores[0]
        torch.testing.assert_close(scores[: len(alone)], alone, atol=1e-4, rtol=1e-4)

    def test_the_plm_is_in_it_once(self, mixed, bert_model):
        names = [name for name, _ in mixed.named_parameters(remove_duplicate=False)]
        plain = [name for name, _ in bert_model.named_parameters(remove_duplicate=False)]
        assert names == [f"model.{name}" for name in plain]

    def test_as_a_task(self, tasks, rows):
        task = mixture_task(tasks, rows, rows[:5])
        assert task.name == "small/tone + small/topic"
        assert task.labels == ("answer 0", "answer 1", "answer 2")
        assert len(task.split("dev")) == 5

    def test_refusals(self, bert_model, bert, gpt2_model, gpt2, tasks):
        def make(prompt, model=bert_model, tokenizer=bert):
            return MixedPrompts(model, tokenizer, tasks[:1], [[prompt]])

        with pytest.raises(CourseError, match="'words', which the example lacks"):
            make(Prompt("{words} {mask}", TONE))
        with pytest.raises(CourseError, match="must be one"):
            make(Prompt("{text} {mask}", {"negative": "warmly", "positive": "good"}))
        with pytest.raises(CourseError, match="causal"):
            make(Prompt("{mask} {text}", TONE), gpt2_model, gpt2)
        with pytest.raises(CourseError, match="soft tokens"):
            make(Prompt("{soft:2} {text} {mask}", TONE))
