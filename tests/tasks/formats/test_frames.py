"""Predicates and their arguments, in every format that people have."""

from __future__ import annotations

import pytest

from course_utils.errors import CourseError
from course_utils.tasks import load_task
from course_utils.tasks.formats.frames import (
    read_bars,
    read_conll2005,
    read_conll2012,
    read_up,
)
from course_utils.tasks.inputs import encode

WORDS = ["He", "said", "she", "left", "early"]
FIRST = {"tokens": WORDS, "verb_index": 1, "tags": ["B-A0", "B-V", "B-A1", "I-A1", "I-A1"]}
SECOND = {"tokens": WORDS, "verb_index": 3, "tags": ["O", "O", "B-A0", "B-V", "B-AM-TMP"]}

COLUMNS = """He    PRP  -      (A0*)  *
said  VBD  say    (V*)   *
she   PRP  -      (A1*   (A0*)
left  VBD  leave  *      (V*)
early RB   -      *)     (AM-TMP*)
"""
PROPS = """-      (A0*)  *
say    (V*)   *
-      (A1*   (A0*)
leave  *      (V*)
-      *)     (AM-TMP*)
"""
BARS = """1 He said she left early ||| B-A0 B-V B-A1 I-A1 I-A1
3 He said she left early ||| O O B-A0 B-V B-AM-TMP
"""
CONLL12 = """#begin document (nw/x); part 000
nw/x 0 0 He PRP * - - - - * (ARG0*) * -
nw/x 0 1 said VBD * say 01 1 - * (V*) * -
nw/x 0 2 she PRP * - - - - * (ARG1* (ARG0*) -
nw/x 0 3 left VBD * leave 01 1 - * * (V*) -
nw/x 0 4 early RB * early - 1 - * *) (ARGM-TMP*) -

#end document
"""
UP_COLUMNS = "ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC UP:PRED UP:ARGHEADS UP:ARGSPANS"
UP2 = f"""# global.columns = {UP_COLUMNS}
# text = He said she left early
1\tHe\the\tPRON\tPRP\t_\t2\tnsubj\t_\t_\t_\t_\t_
2\tsaid\tsay\tVERB\tVBD\t_\t0\troot\t_\t_\tsay.01\tA0:1|A1:4\tA0:1-1|A1:3-5
3\tshe\tshe\tPRON\tPRP\t_\t4\tnsubj\t_\t_\t_\t_\t_
3.1\tempty\t_\t_\t_\t_\t_\t_\t_\t_\t_\t_\t_
4\tleft\tleave\tVERB\tVBD\t_\t2\tccomp\t_\t_\tleave.01\tA0:3|AM-TMP:5\tA0:3-3|AM-TMP:5-5
5\tearly\tearly\tADV\tRB\t_\t4\tadvmod\t_\t_\t_\t_\t_
"""
UP1 = """1\tHe\the\tPRON\tPRP\t_\t2\tnsubj\t_\t_\t_\tA0\t_
2\tsaid\tsay\tVERB\tVBD\t_\t0\troot\t_\t_\tsay.01\t_\t_
3\tshe\tshe\tPRON\tPRP\t_\t4\tnsubj\t_\t_\t_\t_\tA0
4\tleft\tleave\tVERB\tVBD\t_\t2\tccomp\t_\t_\tleave.01\tA1\t_
5\tearly\tearly\tADV\tRB\t_\t4\tadvmod\t_\t_\t_\t_\tAM-TMP
"""


def written(tmp_path, text, name="train.txt"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_conll_2005_in_one_file(tmp_path):
    assert read_conll2005(written(tmp_path, COLUMNS)) == [FIRST, SECOND]


def test_conll_2005_in_two_files(tmp_path):
    words = written(tmp_path, "\n".join(WORDS) + "\n", "wsj.words")
    props = written(tmp_path, PROPS, "wsj.props")
    assert read_conll2005(words, props) == [FIRST, SECOND]


def test_a_sentence_without_a_predicate_has_no_row(tmp_path):
    path = written(tmp_path, "Yes UH -\n. . -\n\n" + COLUMNS)
    assert read_conll2005(path) == [FIRST, SECOND]


def test_bars(tmp_path):
    assert read_bars(written(tmp_path, BARS)) == [FIRST, SECOND]


def test_conll_2012(tmp_path):
    renamed = {"A0": "ARG0", "A1": "ARG1", "AM": "ARGM"}
    expected = [
        row | {"tags": [_renamed(tag, renamed) for tag in row["tags"]]} for row in (FIRST, SECOND)
    ]
    assert read_conll2012(written(tmp_path, CONLL12, "x.gold_conll")) == expected


def _renamed(tag, names):
    parts = tag.split("-")
    return "-".join(names.get(part, part) for part in parts)


@pytest.mark.parametrize("text", [UP2, UP2.split("\n", 1)[1], UP1])
def test_universal_propbank(tmp_path, text):
    assert read_up(written(tmp_path, text, "en-train.conllu")) == [FIRST, SECOND]


def test_an_argument_that_overlaps_the_verb_or_another_is_left_out(tmp_path):
    text = UP2.replace("A0:1-1|A1:3-5", "A0:1-2|A1:3-5|A2:4-4")
    first = read_up(written(tmp_path, text, "en-train.conllu"))[0]
    assert first["tags"] == ["O", "B-V", "O", "B-A2", "O"]


@pytest.mark.parametrize("text", [COLUMNS, BARS])
def test_as_a_task(tmp_path, text):
    for name in ("train.txt", "dev.txt", "test-wsj.txt", "test-brown.txt"):
        written(tmp_path, text, name)
    task = load_task("srl/conll05", data=tmp_path)
    assert set(task.splits) == {"train", "dev", "test", "ood"}
    assert task.labels == (
        "O",
        "B-A0",
        "I-A0",
        "B-A1",
        "I-A1",
        "B-AM-TMP",
        "I-AM-TMP",
        "B-V",
        "I-V",
    )
    row = task.split("train")[1]
    assert [task.labels[tag] for tag in row["tags"]] == SECOND["tags"]
    assert row["verb_index"] == 3


def test_the_verb_follows_the_sentence(tmp_path):
    from small_tokenizers import of_words

    written(tmp_path, BARS, "train.txt")
    task = load_task("srl/conll05", data=tmp_path)
    tokenizer = of_words(WORDS, adds="bert")
    feature = encode(task, task.split("train"), tokenizer, max_length=20).features[1]
    said = tokenizer.convert_ids_to_tokens(feature["input_ids"])
    assert said == ["[CLS]", *WORDS, "[SEP]", "left", "[SEP]"]
    assert feature["labels"][0] == feature["labels"][-1] == feature["labels"][-2] == -100


def test_conll05_is_nowhere_open():
    with pytest.raises(CourseError, match=r"not on the Hub\. .*LDC.*data=FOLDER.*test-brown\.txt"):
        load_task("srl/conll05")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (COLUMNS.replace("(A1*   (A0*)", "(A1*"), r"line 3: 4 columns; the sentence began with 5"),
        (
            COLUMNS.replace("*)     (AM", "*     (AM"),
            r"arguments of 'said': a span of type A1 never",
        ),
        (COLUMNS.replace("leave", "-"), "as many predicates"),
        ("1 a b ||| O\n", "2 words, 1 tags; expected 'verb_index words"),
        ("9 a b ||| O O\n", "expected 'verb_index words"),
        ("0 a b ||| O PER\n", "tag 'PER'; expected O"),
        ("", "holds no sentence with a predicate"),
    ],
)
def test_broken_files(tmp_path, text, says):
    written(tmp_path, text)
    with pytest.raises(CourseError, match=says):
        load_task("srl/conll05", data=tmp_path)


def test_broken_conll_2012(tmp_path):
    short = CONLL12.replace(
        "nw/x 0 4 early RB * early - 1 - * *) (ARGM-TMP*) -", "nw/x 0 4 early RB"
    )
    with pytest.raises(CourseError, match="line 6: 5 columns; CoNLL-2012 has at least 12"):
        read_conll2012(written(tmp_path, short, "x_conll"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CourseError, match="holds no file whose name ends in _conll"):
        read_conll2012(tmp_path / "empty")


def test_broken_universal_propbank(tmp_path):
    with pytest.raises(CourseError, match=r"line 4: arguments of 'said'"):
        read_up(written(tmp_path, UP2.replace("A1:3-5", "A1:3-9"), "a.conllu"))
    with pytest.raises(CourseError, match="10 columns; expected 11"):
        read_up(written(tmp_path, UP1.replace("\t_\tA0\t_\n", "\n"), "b.conllu"))


def test_words_and_props_that_do_not_match(tmp_path):
    words = written(tmp_path, "He\nsaid\n", "wsj.words")
    props = written(tmp_path, PROPS, "wsj.props")
    with pytest.raises(CourseError, match=r"wsj\.props, line 1: a sentence of 5 lines; it has 2"):
        read_conll2005(words, props)
    with pytest.raises(CourseError, match="has 1 sentences and .* 2; expected the same text"):
        read_conll2005(words, written(tmp_path, PROPS + "\n" + PROPS, "two.props"))
