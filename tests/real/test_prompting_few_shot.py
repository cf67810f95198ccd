"""LM-BFF's own 16-shot splits, and a real causal PLM, asked through prompts.

Skipped where the real files are absent: ../shared/real beside the project, or the folder named by
COURSE_REAL_DATA.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
import small_plms
import torch
from transformers import RobertaTokenizer

from course_utils.plm import load_plm
from course_utils.prompting import (
    ChoicePrompt,
    DemonstratedPrompt,
    DemonstrationPool,
    InContext,
    PromptModel,
    Verbalizer,
)

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("COURSE_REAL_DATA", ROOT.parent / "shared" / "real"))
SPLITS = REAL / "lmbff_kshot" / "SST-2"
pytestmark = pytest.mark.skipif(not SPLITS.is_dir(), reason="the real few-shot splits are not here")

SEEDS = (13, 21, 42, 87, 100)
TEMPLATE = "{sentence} It was {mask} ."
WORDS = {"negative": "terrible", "positive": "great"}
STORY = "One day, a little {who} went to the {mask}"


def read(path: Path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [{"sentence": row["sentence"], "label": int(row["label"])} for row in rows]


@pytest.fixture(scope="module")
def roberta():
    return RobertaTokenizer.from_pretrained(REAL / "tokenizers" / "roberta-base")


@pytest.fixture(scope="module")
def story_teller():
    return load_plm(REAL / "stories260K")


@pytest.mark.parametrize("seed", SEEDS)
def test_demonstrations_from_the_papers_splits(seed):
    train, dev = (read(SPLITS / f"16-{seed}" / f"{part}.tsv") for part in ("train", "dev"))
    assert [[row["label"] for row in rows].count(i) for rows in (train, dev) for i in (0, 1)] == (
        [16] * 4
    )
    pool = DemonstrationPool(train, Verbalizer(WORDS), ["sentence"])
    for query in (*train, *dev):
        for draw in pool.draw(query, 16, seed):
            assert [row["label"] for row in draw] == [0, 1]
            assert query["sentence"] not in [row["sentence"] for row in draw]


def test_what_is_read_with_them(roberta):
    model = small_plms.roberta(roberta, max_position_embeddings=514, num_hidden_layers=1)
    train = read(SPLITS / "16-13" / "train.tsv")
    prompt = DemonstratedPrompt(
        model, roberta, TEMPLATE, WORDS, pool=train, draws=4, embed=None, max_length=256
    )
    for row in (*train, {"sentence": "a joy " * 400}):
        encoded = prompt.encode(row)
        for shown, ids, (at,) in zip(
            prompt.pool.draw(row, 4, prompt.seed),
            encoded["input_ids"],
            encoded["mask_positions"],
            strict=True,
        ):
            assert len(ids) <= 256
            assert ids[at] == roberta.mask_token_id
            assert ids.count(roberta.mask_token_id) == 1
            if len(ids) < 256:
                texts = [f"{r['sentence'].strip()} It was" for r in (row, *shown)]
                behind = "</s></s>".join(
                    f"{text} {word} ." for text, word in zip(texts[1:], WORDS.values(), strict=True)
                )
                whole = f"<s>{texts[0]}<mask> .</s></s>{behind}</s>"
                assert roberta.decode(ids, clean_up_tokenization_spaces=False) == whole


class TestARealCausalPLM:
    def test_it_answers_what_stories_say(self, story_teller):
        places = Verbalizer({"sensible": "park", "odd": "tooth"}, multi_token=True)
        prompt = PromptModel(*story_teller, STORY, places)
        answers = prompt.predict([{"who": who} for who in ("girl", "boy", "dog")])
        assert answers.predictions == ["sensible"] * 3

    def test_it_chooses_among_an_examples_own_candidates(self, story_teller):
        rows = [
            {"start": "Once upon a", "one": "time", "two": "shoe", "label": 0},
            {"start": "Lily was sad. Her mom gave her a", "one": "was", "two": "big hug",
             "label": 1},
            {"start": "They played together all", "one": "day long", "two": "of the mom",
             "label": 0},
        ]  # fmt: skip
        options = {"options": (), "per_token": True}
        prompt = ChoicePrompt(*story_teller, "{start} {mask}", ("one", "two"), **options)
        assert prompt.predict(rows).ids == [row["label"] for row in rows]

    def test_its_answers_are_the_plain_models_own(self, story_teller):
        model, tokenizer = story_teller
        shown = [{"sentence": "The cat was mean.", "label": 0}]
        words = Verbalizer({"negative": "sad", "positive": "happy"}, multi_token=True)
        prompt = InContext(
            model, tokenizer, "{sentence} Tom was {mask}", words, demonstrations=shown
        )
        (found,) = prompt.predict([{"sentence": "Tom got a toy."}]).scores.tolist()
        text = "The cat was mean. Tom was sad\nTom got a toy. Tom was"
        start = len(tokenizer(text)["input_ids"])
        for word, score in zip(("sad", "happy"), found, strict=True):
            ids = tokenizer(f"{text} {word}", return_tensors="pt")["input_ids"]
            with torch.no_grad():
                log_p = model(ids).logits[0].log_softmax(-1)
            expected = sum(log_p[at - 1, ids[0, at]].item() for at in range(start, ids.shape[1]))
            assert score == pytest.approx(expected, abs=1e-3)
