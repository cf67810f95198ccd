"""Templates on real tokenizers and real text: goldens written out by hand, and no mask ever lost.

Skipped where the real files are absent: ../shared/real beside the project, or the folder named by
COURSE_REAL_DATA.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertTokenizer, GPT2Tokenizer, RobertaTokenizer, T5Tokenizer

from course_utils.errors import CourseError
from course_utils.prompting import Template, Verbalizer

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("COURSE_REAL_DATA", ROOT.parent / "shared" / "real"))
pytestmark = pytest.mark.skipif(
    not (REAL / "tokenizers").is_dir(), reason="real tokenizers are not here"
)

NLI = Template("{premise} ? {mask} , {hypothesis}")
EXAMPLE = {
    "premise": "No Weapons of Mass Destruction Found in Iraq Yet",
    "hypothesis": "Weapons of Mass Destruction Found in Iraq",
}
LENGTHS = (64, 128, 256)
MASKED = ("bert", "roberta")
TEMPLATES = {
    "rte": (NLI, Template("{premise} ? {mask} . In other words , {hypothesis}")),
    "boolq": (
        Template("{passage} . Question : {question} ? Answer : {mask} ."),
        Template("{question} ? {sep} {mask} . {passage}"),
    ),
    "sst2": (Template("{sentence} It was {mask} ."), Template("{mask} ! {sentence}")),
}


@pytest.fixture(scope="module")
def bert():
    return BertTokenizer.from_pretrained(REAL / "tokenizers" / "bert-base-uncased")


@pytest.fixture(scope="module")
def roberta():
    return RobertaTokenizer.from_pretrained(REAL / "tokenizers" / "roberta-base")


@pytest.fixture(scope="module")
def gpt2():
    return GPT2Tokenizer.from_pretrained(REAL / "tokenizers" / "gpt2")


@pytest.fixture(scope="module")
def t5():
    if find_spec("sentencepiece") is None:
        pytest.skip("T5's file needs the sentencepiece package")
    return T5Tokenizer.from_pretrained(REAL / "tokenizers" / "t5")


def rows(name: str) -> list[dict]:
    """All rows of a real data set, training and dev."""
    if name == "sst2":
        lines = []
        for part in ("train", "dev"):
            text = (REAL / "glue" / "SST-2" / f"{part}.tsv").read_text(encoding="utf-8")
            lines += text.split("\n")[1:-1]
        return [{"sentence": line.split("\t")[0]} for line in lines]
    folder, parts = {"rte": ("RTE", ("train", "val")), "boolq": ("BoolQ", ("val",))}[name]
    found = []
    for part in parts:
        text = (REAL / "superglue" / folder / f"{part}.jsonl").read_text(encoding="utf-8")
        found += [json.loads(line) for line in text.split("\n") if line]
    return found


class TestGoldens:
    def test_bert(self, bert):
        encoded = NLI.encode(EXAMPLE, bert)
        # From BERT's vocab.txt: [CLS] 101, no 2053, weapons 4255, of 1997, mass 3742,
        # destruction 6215, found 2179, in 1999, iraq 5712, yet 2664, ? 1029, [MASK] 103, "," 1010.
        assert encoded["input_ids"] == [
            *(101, 2053, 4255, 1997, 3742, 6215, 2179, 1999, 5712, 2664, 1029, 103, 1010),
            *(4255, 1997, 3742, 6215, 2179, 1999, 5712, 102),
        ]
        assert encoded["mask_positions"] == [11]
        assert encoded["token_type_ids"] == [0] * 21

    def test_bert_two_segments(self, bert):
        encoded = Template("{a} {sep} {mask} , {b}").encode({"a": "Found", "b": "Iraq"}, bert)
        assert encoded["input_ids"] == [101, 2179, 102, 103, 1010, 5712, 102]
        assert encoded["token_type_ids"] == [0, 0, 0, 1, 1, 1, 1]

    def test_roberta(self, roberta):
        encoded = Template("{text} It was {mask} .").encode({"text": "Hello world"}, roberta)
        # <s> 0, Hello 31414, " world" 232, " It" 85, " was" 21, <mask> 50264, " ." 479, </s> 2
        assert encoded["input_ids"] == [0, 31414, 232, 85, 21, 50264, 479, 2]
        assert encoded["mask_positions"] == [5]
        assert "token_type_ids" not in encoded

    def test_roberta_two_segments(self, roberta):
        encoded = Template("{a} {sep} {mask} , {b}").encode({"a": "Hello", "b": "world"}, roberta)
        assert encoded["input_ids"] == [0, 31414, 2, 2, 50264, 2156, 232, 2]

    def test_gpt2(self, gpt2):
        encoded = Template("{text} It was {mask}").encode({"text": "Hello world"}, gpt2)
        # Hello 15496, " world" 995, " It" 632, " was" 373
        assert encoded["input_ids"] == [15496, 995, 632, 373]
        assert encoded["mask_positions"] == [3]

    def test_t5(self, t5):
        encoded = Template("{text} It was {mask} .").encode({"text": "Hello world"}, t5)
        assert encoded["input_ids"] == t5("Hello world It was <extra_id_0> .")["input_ids"]
        assert encoded["input_ids"][encoded["mask_positions"][0]] == 32099

    def test_llama_class(self):
        tokenizer = AutoTokenizer.from_pretrained(REAL / "stories260K")
        encoded = Template("{text} it was {mask}").encode({"text": "One day"}, tokenizer)
        assert encoded["input_ids"] == tokenizer("One day it was")["input_ids"]
        assert encoded["input_ids"][0] == tokenizer.bos_token_id

    def test_label_words(self, bert, roberta, gpt2):
        words = {"no": "terrible", "yes": "great"}
        # terrible 6659, great 2307; " terrible" 6587, " great" 372; " terrible" 7818, " great" 1049
        assert Verbalizer(words).token_ids(bert) == (((6659,),), ((2307,),))
        assert Verbalizer(words).token_ids(roberta) == (((6587,),), ((372,),))
        assert Verbalizer(words).token_ids(gpt2) == (((7818,),), ((1049,),))

    def test_a_split_label_word_gets_real_suggestions(self, roberta):
        verbalizer = Verbalizer({"no": "great", "yes": "wonderfull"})
        with pytest.raises(CourseError, match="Near words of one token: wonderful"):
            verbalizer.token_ids(roberta)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
@pytest.mark.parametrize("tokenizer_name", MASKED)
def test_short_texts_equal_the_whole_sentence(request, name, tokenizer_name):
    tokenizer = request.getfixturevalue(tokenizer_name)
    template = TEMPLATES[name][0]
    for row in rows(name)[:400]:
        whole = tokenizer(template.render(row, mask=tokenizer.mask_token))["input_ids"]
        assert template.encode(row, tokenizer, max_length=10**6)["input_ids"] == whole


@pytest.mark.parametrize("name", sorted(TEMPLATES))
@pytest.mark.parametrize("tokenizer_name", MASKED)
def test_every_real_example_keeps_its_mask_at_every_length(request, name, tokenizer_name):
    tokenizer = request.getfixturevalue(tokenizer_name)
    for number, row in enumerate(rows(name)):
        template = TEMPLATES[name][number % 2]
        for length in LENGTHS:
            encoded = template.encode(row, tokenizer, max_length=length)
            (at,) = encoded["mask_positions"]
            assert len(encoded["input_ids"]) <= length
            assert encoded["input_ids"][at] == tokenizer.mask_token_id
            assert encoded["input_ids"].count(tokenizer.mask_token_id) == 1
            if len(encoded["input_ids"]) < length and number % 10:
                break  # nothing was cut: one in ten shows that more room then changes nothing


@pytest.mark.parametrize("tokenizer_name", MASKED)
def test_more_room_than_needed_changes_nothing(request, tokenizer_name):
    tokenizer = request.getfixturevalue(tokenizer_name)
    for row in rows("sst2")[::50]:
        short, *others = (
            TEMPLATES["sst2"][0].encode(row, tokenizer, max_length=n) for n in LENGTHS
        )
        if len(short["input_ids"]) < LENGTHS[0]:
            assert all(other == short for other in others)


ODD = st.one_of(
    st.text(),
    st.text(alphabet=".,?!;:-'\"()[]{}", min_size=1),
    st.text(
        alphabet="\U0001f469\u200d\U0001f4bb\U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd", min_size=1
    ),
    st.sampled_from(
        [
            "",
            " \n\t",
            "[MASK]",
            "<mask>",
            "<mask> [MASK] <extra_id_0> <|endoftext|>",
            "</s>",
            "<s>[CLS][SEP][PAD]<pad>",
            "word " * 900,
            "\u8a9e\u8a00" * 400,
            "w" * 3000,
            "?!" * 500,
            "\u043d\u0435\u0442, \u0634\u0643\u0631\u0627, \u0928\u092e\u0938\u094d\u0924\u0947",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(premise=ODD, hypothesis=ODD, length=st.sampled_from(LENGTHS))
def test_odd_texts_keep_the_mask(bert, roberta, premise, hypothesis, length):
    for tokenizer in (bert, roberta):
        row = {"premise": premise, "hypothesis": hypothesis}
        encoded = NLI.encode(row, tokenizer, max_length=length)
        ids, (at,) = encoded["input_ids"], encoded["mask_positions"]
        special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        assert len(ids) <= length
        assert ids[at] == tokenizer.mask_token_id
        assert sum(token in special for token in ids) == 3


@settings(max_examples=100, deadline=None)
@given(text=ODD, length=st.sampled_from(LENGTHS))
def test_odd_texts_leave_the_end_of_a_causal_prompt_alone(gpt2, text, length):
    encoded = Template("{text} It was {mask}").encode({"text": text}, gpt2, max_length=length)
    ids = encoded["input_ids"]
    assert len(ids) <= length
    assert ids[-2:] == [632, 373]  # " It" and " was"; where the text is empty its space is its own
    assert encoded["mask_positions"] == [len(ids) - 1]
    assert gpt2.eos_token_id not in ids
