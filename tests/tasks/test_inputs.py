"""Inputs: ids, labels and padding of each kind of task, checked token by token."""

from __future__ import annotations

import pytest
import small_tasks as small
from datasets import Dataset
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE, WordPiece
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from course_utils.errors import CourseError
from course_utils.tasks import Task, inputs
from course_utils.tasks.batches import Collator
from course_utils.tasks.inputs import encode, texts

TOKENIZER = small.tokenizer()


def task(kind, columns, rows, labels=("no", "yes"), metric="accuracy", **more):
    data = Dataset.from_dict({key: [row[key] for row in rows] for key in rows[0]})
    return Task("small/x", kind, columns, labels, metric, {"train": data}, **more)


def encoded(task, tokenizer=TOKENIZER, max_length=32, **options):
    return encode(task, task.split("train"), tokenizer, max_length=max_length, **options)


def words(ids):
    return TOKENIZER.convert_ids_to_tokens(ids)


class TestClassification:
    def test_single(self):
        made = encoded(task("classification", ("sentence",), [{"sentence": "a film", "label": 1}]))
        assert words(made.features[0]["input_ids"]) == ["[CLS]", "a", "film", "[SEP]"]
        assert made.features[0]["labels"] == 1

    def test_pair_has_two_token_types(self):
        rows = [{"premise": "a film", "hypothesis": "it was", "label": 0}]
        feature = encoded(task("classification", ("premise", "hypothesis"), rows)).features[0]
        assert words(feature["input_ids"]) == ["[CLS]", "a", "film", "[SEP]", "it", "was", "[SEP]"]
        assert feature["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]

    def test_word_in_context_as_the_homework_lays_it_out(self):
        row = {"word": "plot", "sentence1": "the plot was", "sentence2": "a plot in"}
        wic = task("classification", ("word", "sentence1", "sentence2"), [{**row, "label": 1}])
        assert texts(wic, row) == ("plot: the plot was", "plot: a plot in")

    def test_winograd_as_the_homework_lays_it_out(self):
        row = {"text": "Ann sees Bob as he runs", "span1_text": "Bob", "span2_text": "he"}
        wsc = task("classification", ("text", "span1_text", "span2_text"), [{**row, "label": 1}])
        assert texts(wsc, row) == ("he: Ann sees Bob as he runs", "Bob")

    def test_a_long_text_is_cut_and_counted(self):
        rows = [{"sentence": "a " * 50, "label": 0}, {"sentence": "film", "label": 1}]
        made = encoded(task("classification", ("sentence",), rows), max_length=8)
        assert made.lengths() == [8, 3]
        assert words(made.features[0]["input_ids"])[-1] == "[SEP]"
        assert made.truncated == 1

    def test_of_a_pair_the_longer_is_cut(self):
        rows = [{"question": "is it", "passage": "good " * 40, "label": 0}]
        ids = encoded(task("classification", ("question", "passage"), rows), max_length=10)
        assert words(ids.features[0]["input_ids"])[:4] == ["[CLS]", "is", "it", "[SEP]"]
        assert ids.lengths() == [10]

    def test_no_room_for_the_special_tokens(self):
        with pytest.raises(CourseError, match="max_length 2 is too short.* 3 tokens"):
            encoded(
                task("classification", ("sentence",), [{"sentence": "a", "label": 0}]),
                max_length=2,
            )

    def test_rows_without_gold_never_become_training_features(self):
        rows = [{"sentence": "a", "label": -1}, {"sentence": "it", "label": 1}]
        odd = task("classification", ("sentence",), rows)
        assert [f["labels"] for f in encoded(odd).features] == [1]
        assert encoded(odd).rows == [1]
        unlabelled = encoded(odd, answers=False)
        assert unlabelled.rows == [0, 1]
        assert "labels" not in unlabelled.features[0]

    def test_unknown_columns_ask_for_a_layout(self):
        rows = [{"a": "x", "b": "y", "c": "z", "label": 0}]
        with pytest.raises(CourseError, match="segments="):
            encoded(task("classification", ("a", "b", "c"), rows))
        given = task("classification", ("a", "b", "c"), rows, segments=("{a} {c}", "{b}"))
        assert texts(given, rows[0]) == ("x z", "y")
        with pytest.raises(CourseError, match="names? 'd'"):
            encoded(task("classification", ("a", "b", "c"), rows, segments=("{d}",)))

    def test_regression_keeps_numbers(self):
        rows = [{"sentence1": "a", "sentence2": "b", "label": 3.5}]
        sts = task("regression", ("sentence1", "sentence2"), rows, labels=(), metric="pearson")
        batch = Collator(0)(encoded(sts).features)
        assert batch["labels"].tolist() == [3.5]


class TestChoice:
    rows = [
        {
            "premise": "bob runs",
            "choice1": "food",
            "choice2": "a fine city",
            "question": "cause",
            "label": 1,
        },
        {
            "premise": "ann eats",
            "choice1": "it was",
            "choice2": "film",
            "question": "effect",
            "label": 0,
        },
    ]
    copa = task("choice", ("premise", "choice1", "choice2", "question"), rows)

    def test_each_choice_is_paired_with_premise_and_connective(self):
        assert texts(self.copa, {**self.rows[0], "choice": "food"}) == ("bob runs because", "food")
        assert texts(self.copa, {**self.rows[1], "choice": "film"}) == ("ann eats so", "film")

    def test_stacked_and_padded(self):
        batch = Collator(0)(encoded(self.copa).features)
        assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 2, 9)
        assert batch["labels"].tolist() == [1, 0]
        assert batch["attention_mask"].sum(-1).tolist() == [[7, 9], [8, 7]]


def subword_tokenizer():
    """WordPiece that splits "seaside" into two and knows single words besides."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "sea", "##side", "ann", "runs", "town"]
    inner = Tokenizer(WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )


@pytest.mark.parametrize("kind", ["classification", "choice", "generation"])
def test_the_layout_is_looked_up_once_for_all_rows(kind, monkeypatch):
    seen, found = [], inputs.segments
    monkeypatch.setattr(inputs, "segments", lambda task: seen.append(task) or found(task))
    if kind == "classification":
        made = encoded(small.sentiment(6, 2))
    elif kind == "choice":
        made = encoded(TestChoice.copa)
    else:
        rows = TestGeneration.rows * 3
        made = encoded(task(kind, tuple(rows[0]), rows, (), "bleu"), TestGeneration.causal)
    assert len(made.features) > 1
    assert len(seen) == 1


class TestTagging:
    tags = ("O", "B-LOC", "I-LOC")

    def ner(self, tokens, tags):
        return task(
            "tagging", ("tokens",), [{"tokens": tokens, "tags": tags}], self.tags, "seqeval_f1"
        )

    def test_label_on_the_first_sub_token_only(self):
        one = self.ner(["ann", "seaside", "town"], [0, 1, 2])
        feature = encoded(one, subword_tokenizer()).features[0]
        assert feature["input_ids"] == [2, 6, 4, 5, 8, 3]
        assert feature["labels"] == [-100, 0, 1, -100, 2, -100]

    def test_the_same_word_twice_in_a_row_is_two_words(self):
        feature = encoded(self.ner(["ann", "ann"], [0, 1]), subword_tokenizer()).features[0]
        assert feature["labels"] == [-100, 0, 1, -100]

    def test_the_verb_follows_and_has_no_label(self):
        rows = [{"tokens": ["ann", "runs"], "verb_index": 1, "tags": [1, 0]}]
        srl = task("tagging", ("tokens", "verb_index"), rows, self.tags, "seqeval_f1")
        feature = encoded(srl, subword_tokenizer()).features[0]
        assert feature["input_ids"] == [2, 6, 7, 3, 7, 3]
        assert feature["labels"] == [-100, 1, 0, -100, -100, -100]

    def test_a_long_sentence_is_cut_never_the_verb(self):
        rows = [{"tokens": ["ann"] * 20 + ["runs"], "verb_index": 20, "tags": [0] * 21}]
        srl = task("tagging", ("tokens", "verb_index"), rows, self.tags, "seqeval_f1")
        made = encoded(srl, subword_tokenizer(), max_length=8)
        assert made.features[0]["input_ids"][-3:] == [3, 7, 3]
        assert made.lengths() == [8]
        assert made.truncated == 1
        with pytest.raises(CourseError, match="too short"):
            encoded(srl, subword_tokenizer(), max_length=4)

    def test_tags_must_fit_the_words(self):
        with pytest.raises(CourseError, match="1 tags for 2 words"):
            encoded(self.ner(["ann", "runs"], [0]), subword_tokenizer())

    def test_byte_level_bpe_puts_a_space_before_every_word(self):
        vocabulary = {w: i for i, w in enumerate(["a", "b", "Ġ", "Ġa", "Ġb", "<pad>"])}
        inner = Tokenizer(BPE(vocabulary, merges=[("Ġ", "a"), ("Ġ", "b")]))
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>")
        feature = encoded(self.ner(["a", "b"], [1, 2]), bpe).features[0]
        assert feature["input_ids"] == [3, 4]
        assert feature["labels"] == [1, 2]
        assert bpe("a")["input_ids"] == [0]  # the tokenizer given is not changed


class TestGeneration:
    rows = [{"meaning_representation": "name Ann", "human_reference": "Ann eats in Rome"}]
    e2e = task("generation", ("meaning_representation", "human_reference"), rows, (), "bleu")
    causal = small.tokenizer(causal=True)

    def test_loss_reads_the_target_and_the_end_only(self):
        feature = encoded(self.e2e, self.causal).features[0]
        ids, labels = feature["input_ids"], feature["labels"]
        prompt = self.causal.convert_tokens_to_ids(["[CLS]", "name", "[UNK]", ":"])
        target = self.causal("Ann eats in Rome", add_special_tokens=False)["input_ids"] + [3]
        assert ids == prompt + target
        assert labels == [-100] * 4 + target

    def test_for_writing_only_the_prompt(self):
        feature = encoded(self.e2e, self.causal, answers=False).features[0]
        assert feature["input_ids"] == [
            2,
            *self.causal.convert_tokens_to_ids(["name", "[UNK]", ":"]),
        ]
        assert "labels" not in feature

    def test_an_encoder_decoder_gets_the_target_apart(self):
        feature = encoded(self.e2e, self.causal, seq2seq=True).features[0]
        assert len(feature["input_ids"]) == 4
        assert feature["labels"][-1] == 3
        assert -100 not in feature["labels"]

    def test_a_long_prompt_loses_its_start_never_the_target(self):
        rows = [{"meaning_representation": "name " * 30, "human_reference": "food is cheap"}]
        long = task("generation", self.e2e.columns, rows, (), "bleu")
        made = encoded(long, self.causal, max_length=10)
        feature = made.features[0]
        assert len(feature["input_ids"]) == 10
        assert [label for label in feature["labels"] if label != -100] == feature["input_ids"][-4:]
        assert made.truncated == 1
        with pytest.raises(CourseError, match="take 5 tokens"):
            encoded(long, self.causal, max_length=4)


class TestCollator:
    features = [
        {"input_ids": [5, 6, 7], "labels": 1},
        {"input_ids": [8], "labels": 0},
    ]

    def test_right_padding_and_mask(self):
        batch = Collator(9)(self.features)
        assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
        assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
        assert batch["labels"].tolist() == [1, 0]

    def test_left_padding(self):
        batch = Collator(9, side="left")(self.features)
        assert batch["input_ids"].tolist() == [[5, 6, 7], [9, 9, 8]]
        assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]

    def test_token_labels_are_padded_with_what_the_loss_ignores(self):
        features = [{"input_ids": [1, 2], "labels": [3, 4]}, {"input_ids": [1], "labels": [3]}]
        assert Collator(0)(features)["labels"].tolist() == [[3, 4], [3, -100]]

    @pytest.mark.parametrize("order", [1, -1])
    def test_an_example_without_a_label_is_left_out_of_the_loss(self, order):
        features = [{"input_ids": [1, 2], "labels": 1}, {"input_ids": [1]}][::order]
        assert Collator(0)(features)["labels"].tolist() == [1, -100][::order]

    def test_mask_positions_are_stacked(self):
        features = [{"input_ids": [1, 2, 3], "mask_positions": [1]}] * 2
        assert Collator(0)(features)["mask_positions"].tolist() == [[1], [1]]

    @pytest.mark.parametrize("order", [1, -1], ids=["short-first", "long-first"])
    def test_mask_positions_of_a_text_of_one_token_are_no_tokens(self, order):
        features = [
            {"input_ids": [4], "mask_positions": [0]},
            {"input_ids": [1, 2, 3], "mask_positions": [1]},
        ][::order]
        assert Collator(0)(features)["mask_positions"].tolist() == [[0], [1]][::order]

    def test_a_models_own_numbers_for_each_token_are_padded(self):
        features = [{"input_ids": [4], "wanted": [7]}, {"input_ids": [1, 2], "wanted": [0, 8]}]
        assert Collator(0)(features)["wanted"].tolist() == [[7, 0], [0, 8]]
