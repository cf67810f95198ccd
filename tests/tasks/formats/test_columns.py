"""CoNLL columns with entities."""

from __future__ import annotations

import pytest

from course_utils.errors import CourseError
from course_utils.tasks import load_task
from course_utils.tasks.formats.columns import read_columns

CONLL03 = """-DOCSTART- -X- -X- O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC
call NN I-NP O

# NN I-NP O
Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
Paris NNP I-NP I-LOC
London NNP B-NP B-LOC
"""
CONLL04 = """#doc 7
0\tGrande\tB-Loc\t['N']\t[0]
1\tIsle\tI-Loc\t['Located_In']\t[2]
#doc 9
0\tMrs.\tB-Peop\t['N']\t[0]
1\tRose\tI-Peop\t['N']\t[1]
"""


def names(task, split="train"):
    return [[task.labels[tag] for tag in tags] for tags in task.split(split)["tags"]]


def test_conll_2003_with_iob1(tmp_path):
    (tmp_path / "eng.train").write_text(CONLL03)
    (tmp_path / "eng.testa").write_text(CONLL03)
    task = load_task("ner/conll03", data=tmp_path)
    assert list(task.split("train")["tokens"]) == [
        ["EU", "rejects", "German", "call"],
        ["#", "Peter", "Blackburn", "Paris", "London"],
    ]
    assert names(task) == [
        ["B-ORG", "O", "B-MISC", "O"],
        ["O", "B-PER", "I-PER", "B-LOC", "B-LOC"],
    ]
    assert task.metric == "seqeval_f1"
    assert "The texts are Reuters'" in task.summary(), "who uses them should know"


def test_the_same_file_in_iob2_gives_the_same_tags(tmp_path):
    for name, text in (("one", CONLL03), ("two", CONLL03.replace(" I-ORG", " B-ORG"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.txt").write_text(text)
    one, two = (load_task("ner/conll03", data=tmp_path / name) for name in ("one", "two"))
    assert names(one) == names(two)


def test_conll04_with_its_documents_as_separators(tmp_path):
    (tmp_path / "train.txt").write_text(CONLL04)
    task = load_task("ner/conll04", data=tmp_path)
    assert list(task.split("train")["tokens"]) == [["Grande", "Isle"], ["Mrs.", "Rose"]]
    assert names(task) == [["B-Loc", "I-Loc"], ["B-Peop", "I-Peop"]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("EU I-ORG\nrejects\n", r"train\.txt, line 2: 1 columns; expected at least 2"),
        ("EU I-ORG\nrejects VBZ\n", r"line 2: tag 'VBZ'; expected O, B-TYPE or I-TYPE"),
        ("EU I-ORG\nParis I-GPE\n", r"line 2: type 'GPE'; expected one of PER, ORG, LOC, MISC"),
        ("-DOCSTART- O\n\n", "holds no sentence"),
    ],
)
def test_broken_columns(tmp_path, text, says):
    (tmp_path / "train.txt").write_text(text)
    with pytest.raises(CourseError, match=says):
        load_task("ner/conll03", data=tmp_path)


def test_columns_by_number(tmp_path):
    path = tmp_path / "file"
    path.write_text("1 B-X Paris rest\n")
    assert read_columns(path, ["X"], word=2, tag=1) == [{"tokens": ["Paris"], "tags": ["B-X"]}]


def test_ontonotes_from_its_own_files(tmp_path):
    """Column 11 of CoNLL-2012, one folder per split."""
    line = "bc/x 0 {} {} NN * - - - - {} - -\n"
    text = "#begin document (bc/x); part 000\n" + "".join(
        line.format(i, word, cell)
        for i, (word, cell) in enumerate([("Paris", "(GPE)"), ("in", "*"), ("May", "(DATE*")])
    )
    text += line.format(3, "1999", "*)") + "\n#end document\n"
    (tmp_path / "train" / "bc").mkdir(parents=True)
    (tmp_path / "train" / "bc" / "x.v4_gold_conll").write_text(text)
    task = load_task("ner/ontonotes", data=tmp_path)
    assert names(task) == [["B-GPE", "O", "B-DATE", "I-DATE"]]
    assert len(task.labels) == 37
