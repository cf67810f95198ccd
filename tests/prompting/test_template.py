"""Templates: filling, showing, encoding, shortening."""

from __future__ import annotations

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_utils.errors import CourseError
from course_utils.prompting import Template

NLI = Template("{premise} ? {mask} , {hypothesis}")
ROW = {"premise": "weapons of mass destruction found", "hypothesis": "no weapons"}
SENTENCE = "the great film was bad , not dull . Weapons"
ODD = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=".,?!;:-'\"()[]{}", max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "[MASK]",
            "<mask> [MASK]</s>",
            "<extra_id_0>",
            "</s>",
            "a</s>b",
            "<s>",
            "[SEP] [CLS]",
            "<|endoftext|>",
            "[PAD]<pad>",
            "\U0001f600\U0001f3fd",
            "日本語のテキスト",
            "нет, да",
            "\u200d\u0301",
            "a\tb\nc",
            "great " * 400,
            "w" * 500,
        ]
    ),
)


def tokens(tokenizer, encoded):
    return tokenizer.convert_ids_to_tokens(encoded["input_ids"])


class TestFilling:
    def test_the_lecture_example(self):
        assert NLI.render(ROW) == "weapons of mass destruction found ? [MASK] , no weapons"

    def test_a_filled_in_word(self):
        assert NLI.render(ROW, word="yes").endswith("found ? yes , no weapons")

    def test_a_word_gets_a_space_where_the_template_has_none(self):
        assert Template("{a}.{mask}").render({"a": "x"}, word="yes") == "x. yes"
        assert Template("{mask}, {a}").render({"a": "x"}, word="yes") == "yes, x"

    def test_options_strip_and_lower(self):
        template = Template("{a:strip} ? {mask} , {b:lower}")
        row = {"a": "It rained ... ", "b": "No, It did"}
        assert template.render(row) == "It rained ? [MASK] , no, It did"

    def test_outer_white_space_of_a_field_is_dropped_and_numbers_are_texts(self):
        assert Template("{a}|{mask}").render({"a": "  x \n"}) == "x|[MASK]"
        assert Template("{a}|{mask}").render({"a": 3}) == "3|[MASK]"

    def test_braces_in_the_data_are_just_text(self):
        assert Template("{a} {mask}").render({"a": "{b} {mask}"}) == "{b} {mask} [MASK]"

    def test_soft_tokens_and_segments_are_shown(self):
        template = Template("{soft:3} {a} {sep} {mask}")
        assert template.render({"a": "x"}) == "[soft 3] x [SEP] [MASK]"

    def test_a_missing_field_names_near_columns_and_the_place(self):
        with pytest.raises(CourseError) as caught:
            NLI.render({"premises": "x", "hypothesis": "y"})
        assert "did you mean {premises}" in str(caught.value)
        assert str(caught.value).endswith("\n   ^")

    @pytest.mark.parametrize("value", [None, ["a"], {"a": 1}, True, b"x"])
    def test_a_value_that_is_no_text(self, value):
        with pytest.raises(CourseError, match="needs a text or a number"):
            Template("{a} {mask}").render({"a": value})

    def test_pieces_say_where_each_text_came_from(self):
        pieces = NLI.fill(ROW)
        assert [p.kind for p in pieces] == ["field", "literal", "mask", "literal", "field"]
        assert [p.name for p in pieces if p.kind == "field"] == ["premise", "hypothesis"]
        assert "".join(p.text or "[MASK]" for p in pieces) == NLI.render(ROW)

    def test_equal_texts_are_equal_templates(self):
        assert Template("{a} {mask}") == Template("{a} {mask}")
        assert len({Template("{a} {mask}"), Template("{a} {mask}"), Template("{mask}")}) == 2


class TestGoldens:
    def test_bert(self, bert):
        encoded = NLI.encode({"premise": "it was great", "hypothesis": "no rain"}, bert)
        assert " ".join(tokens(bert, encoded)) == "[CLS] it was great ? [MASK] , no rain [SEP]"
        assert encoded["mask_positions"] == [5]
        assert encoded["attention_mask"] == [1] * 10
        assert encoded["token_type_ids"] == [0] * 10

    def test_bert_pair(self, bert):
        template = Template("{premise} {sep} {mask} , {hypothesis}")
        encoded = template.encode({"premise": "it was great", "hypothesis": "no rain"}, bert)
        assert " ".join(tokens(bert, encoded)) == "[CLS] it was great [SEP] [MASK] , no rain [SEP]"
        assert encoded["token_type_ids"] == [0] * 5 + [1] * 5
        assert encoded["mask_positions"] == [5]

    def test_roberta_words_keep_their_space_and_the_mask_takes_its_own(self, roberta):
        template = Template("it was {mask} . {text}")
        encoded = template.encode({"text": "great film"}, roberta)
        assert tokens(roberta, encoded) == (
            ["<s>", "it", "Ġwas", "<mask>", "Ġ.", "Ġgreat", "Ġfilm", "</s>"]
        )

    def test_roberta_pair(self, roberta):
        encoded = Template("{a} {sep} {mask} {b}").encode({"a": "great", "b": "bad"}, roberta)
        frame = ["<s>", "</s>", "</s>", "<mask>", "</s>"]
        assert [t for t in tokens(roberta, encoded) if t.startswith("<")] == frame

    def test_gpt2_ends_before_the_blank(self, gpt2):
        template = Template("{text} it was {mask}")
        encoded = template.encode({"text": "great film"}, gpt2)
        assert gpt2.decode(encoded["input_ids"]) == "great film it was"
        assert encoded["mask_positions"] == [len(encoded["input_ids"]) - 1]

    def test_t5_has_a_sentinel_for_the_mask(self, t5):
        encoded = Template("{text} it was {mask}").encode({"text": "great film"}, t5)
        assert tokens(t5, encoded) == ["▁great", "▁film", "▁it", "▁was", "<extra_id_0>", "</s>"]
        assert encoded["mask_positions"] == [4]

    def test_soft_tokens_are_placeholders_with_their_positions(self, bert):
        encoded = Template("{soft:2} {a} {soft:1} {mask}").encode({"a": "great film"}, bert)
        assert " ".join(tokens(bert, encoded)) == "[CLS] [UNK] [UNK] great film [UNK] [MASK] [SEP]"
        assert encoded["soft_positions"] == [1, 2, 5]

    def test_two_masks(self, bert):
        encoded = Template("{mask} {mask} {a}").encode({"a": "film"}, bert)
        assert encoded["mask_positions"] == [1, 2]


class TestEqualsTheTokenizer:
    """For text without oddities the ids are what the tokenizer makes of the whole sentence."""

    WORDS = st.lists(st.sampled_from(SENTENCE.split()), max_size=9)

    @pytest.mark.parametrize("name", ["bert", "roberta", "t5"])
    @settings(max_examples=40, deadline=None)
    @given(a=WORDS, b=WORDS)
    def test_masked(self, request, name, a, b):
        tokenizer = request.getfixturevalue(name)
        row = {"premise": " ".join(a), "hypothesis": " ".join(b)}
        mask = tokenizer.mask_token or "<extra_id_0>"
        whole = tokenizer(NLI.render(row, mask=mask))
        encoded = NLI.encode(row, tokenizer)
        assert encoded["input_ids"] == whole["input_ids"]

    @settings(max_examples=40, deadline=None)
    @given(a=WORDS)
    def test_causal(self, gpt2, a):
        row = {"premise": " ".join(a)}
        encoded = Template("{premise} ? {mask}").encode(row, gpt2)
        assert encoded["input_ids"] == gpt2(f"{row['premise']} ?")["input_ids"]

    @pytest.mark.parametrize("name", ["bert", "roberta"])
    def test_pairs(self, request, name):
        tokenizer = request.getfixturevalue(name)
        row = {"a": "the great film", "b": "bad ."}
        whole = tokenizer(row["a"], f"{tokenizer.mask_token} , {row['b']}")
        encoded = Template("{a} {sep} {mask} , {b}").encode(row, tokenizer)
        assert {key: encoded[key] for key in whole} == dict(whole)

    def test_a_field_glued_to_a_literal_is_tokenized_as_one_word(self, bert):
        encoded = Template("{a}s {mask}").encode({"a": "film"}, bert)
        assert encoded["input_ids"] == bert("films [MASK]")["input_ids"]


class TestOddTexts:
    """Whatever is in the data, the mask is there once, and nothing else became special."""

    @pytest.mark.parametrize("name", ["bert", "roberta", "t5"])
    @pytest.mark.parametrize("length", [24, 64])
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(premise=ODD, hypothesis=ODD)
    def test_masked(self, request, name, length, premise, hypothesis):
        tokenizer = request.getfixturevalue(name)
        row = {"premise": premise, "hypothesis": hypothesis}
        encoded = NLI.encode(row, tokenizer, max_length=length)
        ids = encoded["input_ids"]
        empty = NLI.encode({"premise": "", "hypothesis": ""}, tokenizer, max_length=length)
        special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        assert len(ids) <= length
        assert [i for i in ids if i in special] == [i for i in empty["input_ids"] if i in special]
        (at,) = encoded["mask_positions"]
        mask = tokenizer.mask_token_id or tokenizer.convert_tokens_to_ids("<extra_id_0>")
        assert [i for i, token in enumerate(ids) if token == mask] == [at]

    @settings(max_examples=60, deadline=None)
    @given(text=ODD)
    def test_causal(self, gpt2, text):
        template = Template("{text} it was {mask}")
        encoded = template.encode({"text": text}, gpt2, max_length=24)
        assert len(encoded["input_ids"]) <= 24
        assert gpt2.eos_token_id not in encoded["input_ids"]
        assert gpt2.decode(encoded["input_ids"]).endswith("it was")

    @settings(max_examples=60, deadline=None)
    @given(text=ODD)
    def test_byte_level_ids_spell_the_text(self, roberta, text):
        encoded = Template("{mask}{text:keep}").encode({"text": text}, roberta, max_length=10**6)
        assert roberta.decode(encoded["input_ids"][2:-1]) == text.strip()

    def test_sentencepiece_does_not_take_its_own_end_token_from_the_text(self, t5):
        encoded = Template("{text} {mask}").encode({"text": "the </s> end"}, t5)
        assert encoded["input_ids"].count(t5.eos_token_id) == 1
        assert encoded["input_ids"][-1] == t5.eos_token_id

    def test_tokenizing_a_prompt_leaves_the_tokenizer_as_it_was(self, bert):
        NLI.encode(ROW, bert)
        assert bert("[MASK]")["input_ids"][1] == bert.mask_token_id


class TestShortening:
    def test_one_token_at_a_time_from_the_longest(self, bert):
        row = {"premise": "it was the great town film", "hypothesis": "no rain"}
        encoded = NLI.encode(row, bert, max_length=10)
        # 13 tokens in all; three go from the premise (6 -> 3), which is the longest throughout.
        assert " ".join(tokens(bert, encoded)) == "[CLS] it was the ? [MASK] , no rain [SEP]"

    def test_equally_long_parts_are_cut_in_turn_beginning_with_the_last(self, bert):
        row = {"premise": "it was the great", "hypothesis": "no rain and dog"}
        encoded = NLI.encode(row, bert, max_length=10)
        assert " ".join(tokens(bert, encoded)) == "[CLS] it was the ? [MASK] , no rain [SEP]"

    def test_a_kept_field_is_never_cut(self, bert):
        template = Template("{premise} ? {mask} , {hypothesis:keep}")
        row = {"premise": "it was great", "hypothesis": "no rain and the dog was cold"}
        encoded = template.encode(row, bert, max_length=13)
        assert " ".join(tokens(bert, encoded)[-9:-1]) == ", no rain and the dog was cold"
        assert tokens(bert, encoded)[:2] == ["[CLS]", "it"]

    def test_segments_are_cut_to_the_right_length_with_their_types(self, bert):
        template = Template("{a} {sep} {mask} {b}")
        encoded = template.encode({"a": "great " * 30, "b": "bad " * 30}, bert, max_length=14)
        assert encoded["token_type_ids"] == [0] * 7 + [1] * 7
        assert tokens(bert, encoded).count("great") == 5
        assert tokens(bert, encoded).count("bad") == 5

    def test_what_must_stay_has_to_fit(self, bert):
        with pytest.raises(CourseError, match="take 5 tokens .* only 4 fit"):
            NLI.encode(ROW, bert, max_length=4)

    def test_places_can_be_reserved(self, bert):
        row = {"premise": "great " * 30, "hypothesis": "bad"}
        encoded = NLI.encode(row, bert, max_length=12, reserve=2)
        assert len(encoded["input_ids"]) == 10


class TestCheck:
    def test_causal_needs_the_mask_at_the_end(self, gpt2):
        with pytest.raises(CourseError, match=r"after \{mask\}.*causal") as caught:
            NLI.check(gpt2)
        assert str(caught.value).split("\n")[2].index("^") == 2 + len("{premise} ? {mask}")
        with pytest.raises(CourseError, match="causal"):
            NLI.encode(ROW, gpt2)
        Template("{premise} ? {mask}  ").check(gpt2)

    def test_causal_takes_one_mask(self, gpt2):
        with pytest.raises(CourseError, match="second {mask}"):
            Template("{a} {mask} {mask}").check(gpt2)

    def test_an_empty_prompt_begins_with_the_start_token(self, gpt2):
        encoded = Template("{a}{mask}").encode({"a": ""}, gpt2)
        assert encoded["input_ids"] == [gpt2.bos_token_id]
        assert encoded["mask_positions"] == [0]

    def test_nothing_to_continue(self, gpt2):
        gpt2 = copy.deepcopy(gpt2)
        gpt2.bos_token = None
        with pytest.raises(CourseError, match="nothing to continue"):
            Template("{a}{mask}").encode({"a": ""}, gpt2)

    def test_a_special_token_spelled_out(self, bert):
        with pytest.raises(CourseError, match=r"'\[SEP\]' written out") as caught:
            Template("{a} [SEP] {mask}").check(bert)
        assert str(caught.value).split("\n")[2] == "      ^"

    def test_columns(self):
        NLI.check(columns=["hypothesis", "premise", "label"])
        with pytest.raises(CourseError, match="'hypothesis', which the example lacks"):
            NLI.check(columns=["premise", "label"])

    def test_length(self, bert):
        with pytest.raises(CourseError, match="only 3 fit"):
            NLI.check(bert, max_length=3)
